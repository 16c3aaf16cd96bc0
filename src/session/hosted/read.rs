//! What is told of hosted sessions.

use super::{HostedFilter, HostedView, LocationView};
use crate::session::{ServiceError, Sessions};

impl Sessions {
    pub async fn hosted(
        &self,
        _organisation: &str,
        _filter: &HostedFilter,
    ) -> Result<Vec<HostedView>, ServiceError> {
        Err(ServiceError::NoServers)
    }

    pub async fn describe_hosted(
        &self,
        _organisation: &str,
        _id: &str,
    ) -> Result<(HostedView, Vec<String>), ServiceError> {
        Err(ServiceError::NoServers)
    }

    pub async fn image_locations(
        &self,
        _organisation: &str,
        _image: &str,
    ) -> Result<Vec<LocationView>, ServiceError> {
        Err(ServiceError::NoServers)
    }

    pub async fn image_has_tag(
        &self,
        _organisation: &str,
        _region: &str,
        _image: &str,
        _tag: &str,
    ) -> Result<bool, ServiceError> {
        Err(ServiceError::NoServers)
    }
}
