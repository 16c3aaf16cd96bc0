//! Finds the encoder that a game asks for, and makes it.

use crate::elements::{ELEMENTS, Element, Source};
use crate::encoder::GStreamerEncoder;
use gstreamer as gst;
use playgate::runner::encoder::{
    self, BUILT_IN, Codec, EncodeError, Format, MakeEncoder, NoEncoder, VideoEncoder,
};
use std::sync::Arc;

/// The encoder of a name: one of [`ELEMENTS`] that this system has, or the built-in one, which is also what a game gets
/// that asks for none.
pub fn find(name: Option<&str>) -> Result<Arc<dyn MakeEncoder>, NoEncoder> {
    match name {
        None | Some(BUILT_IN) => encoder::built_in(name),
        Some(name) => Ok(Arc::new(MakeGStreamer::new(name)?)),
    }
}

/// Makes encoders of one element.
#[derive(Debug)]
struct MakeGStreamer {
    element: &'static Element,
}

impl MakeGStreamer {
    fn new(name: &str) -> Result<Self, NoEncoder> {
        let Some(element) = Element::named(name) else {
            let names: Vec<&str> = ELEMENTS.iter().map(|element| element.name).collect();
            return Err(NoEncoder(format!(
                "there is no encoder {name}, only {BUILT_IN}, {}",
                names.join(", ")
            )));
        };
        gst::init().map_err(|error| NoEncoder(format!("GStreamer does not start: {error}")))?;
        if gst::ElementFactory::find(element.name).is_none() {
            let needs = match element.source {
                Source::Software(package) => package.to_owned(),
                Source::Hardware(package, device) => format!("{package} and {device}"),
            };
            return Err(NoEncoder(format!("this system does not have the encoder {name}: it takes {needs}")));
        }
        Ok(Self { element })
    }
}

impl MakeEncoder for MakeGStreamer {
    fn codec(&self) -> Codec {
        self.element.codec
    }

    fn make(&self, format: Format, kbps: u32) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(GStreamerEncoder::new(self.element, format, kbps)?))
    }
}
