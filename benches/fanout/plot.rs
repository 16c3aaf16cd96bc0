//! The plot.
use crate::stats::Results;
pub(crate) fn render(_results: &Results) -> Result<String, std::fmt::Error> {
    Ok(String::new())
}
