//! The encoder of openh264 with the options that the safe interface of the crate `openh264` does not reach: bitrate, frame
//! rate and quantiser at run time, temporal layers, threads and slices, screen content.
//!
//! Invariants:
//! - The only crate of the workspace with `unsafe` code, and safe to call: any calls with any values are answered, with an
//!   error where a value cannot be had.
//! - Values reach the library only within the ranges for which its arithmetic holds ([`Settings::checked`]).
//! - Pictures are as large as the settings say, and the bytes given out are copies.
//! - After a failed call of the library nothing more is asked of it: it may have freed what it works on.

use openh264_sys2 as sys;
use std::ffi::{c_int, c_void};
use std::time::Duration;
use sys::API;

/// Highest bitrate, in bits a second: within what level 5.2 allows, and the library's arithmetic.
const HIGHEST: c_int = 40_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the encoder takes even sizes from 16x16 to 3840x2160 or 2160x3840")]
    Size,
    #[error("the picture's planes are too short")]
    Planes,
    #[error("openh264 failed in {call} ({code})")]
    Library { call: &'static str, code: c_int },
    #[error("openh264 has failed before")]
    Broken,
}

/// Who decides how coarse a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The library, from the bitrate and the instants of the frames.
    Rate,
    /// The caller, with [`Encoder::set_qp`].
    Qp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slices {
    /// So many of about equal height, 1-8. Fewer where the picture is small.
    Count(u8),
    /// Of about so many bytes at most, 1000-65,000; with one thread.
    Bytes(u32),
}

/// What an encoder is made for. Numbers out of range are brought into it, but for the size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub width: u32,
    pub height: u32,
    /// 1-60.
    pub fps: f32,
    pub bits_per_second: u32,
    pub control: Control,
    /// Finest and coarsest quantiser, 1-51.
    pub qp: (u8, u8),
    /// Looks for blocks that scroll.
    pub screen_content: bool,
    /// Leaves blocks that look as before as they are, however coarse: less work, and no sharpening.
    pub background_detection: bool,
    /// 0-2.
    pub complexity: u8,
    /// 1 or 2; of two, no frame refers to every second one. More need references that screen content has no room for.
    pub temporal_layers: u8,
    /// 1-4, not more than slices.
    pub threads: u8,
    pub slices: Slices,
    /// Primaries, transfer and matrix as the parameter set says them (ITU-T H.264, tables E-3 to E-5): 1 is BT.709, 6 BT.601.
    pub colour: u8,
}

fn int(number: u32) -> c_int {
    c_int::try_from(number).unwrap_or(c_int::MAX)
}

impl Settings {
    fn checked(mut self) -> Result<Self, Error> {
        let (long, short) = (self.width.max(self.height), self.width.min(self.height));
        if !(16..=2160).contains(&short) || long > 3840 || (self.width | self.height) & 1 != 0 {
            return Err(Error::Size);
        }
        self.temporal_layers = self.temporal_layers.clamp(1, 2);
        self.fps = if self.fps.is_finite() { self.fps.clamp(1.0, 60.0) } else { 60.0 };
        // Beyond these the library's 32 bits overflow: half a second times 100, and a group of layers times 2000.
        let group = 1_000_000 >> (self.temporal_layers - 1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 60")]
        let most = (group * self.fps as u32).min(HIGHEST.unsigned_abs() - 1);
        self.bits_per_second = self.bits_per_second.clamp(10_000, most);
        let finest = self.qp.0.clamp(1, 51);
        self.qp = (finest, self.qp.1.clamp(finest, 51));
        (self.slices, self.threads) = match self.slices {
            Slices::Count(count) => {
                let count = count.clamp(1, 8);
                (Slices::Count(count), self.threads.clamp(1, 4).min(count))
            }
            Slices::Bytes(bytes) => (Slices::Bytes(bytes.clamp(1000, 65_000)), 1),
        };
        self.complexity = self.complexity.min(2);
        Ok(self)
    }

    fn write(&self, to: &mut sys::SEncParamExt) {
        let [width, height, bits] = [self.width, self.height, self.bits_per_second].map(int);
        to.iUsageType =
            if self.screen_content { sys::SCREEN_CONTENT_REAL_TIME } else { sys::CAMERA_VIDEO_REAL_TIME };
        to.iComplexityMode = self.complexity.into();
        let own_rate = self.control == Control::Rate;
        to.iRCMode = if own_rate { sys::RC_TIMESTAMP_MODE } else { sys::RC_OFF_MODE };
        (to.iPicWidth, to.iPicHeight, to.fMaxFrameRate, to.iTargetBitrate) = (width, height, self.fps, bits);
        (to.iMinQp, to.iMaxQp) = (self.qp.0.into(), self.qp.1.into());
        to.iTemporalLayerNum = self.temporal_layers.into();
        to.iMultipleThreadIdc = self.threads.into();
        to.bUseLoadBalancing = false;
        to.eSpsPpsIdStrategy = sys::CONSTANT_ID;
        to.bEnableFrameSkip = false;
        to.bEnableSceneChangeDetect = false;
        to.bEnableAdaptiveQuant = false;
        to.bEnableBackgroundDetection = self.background_detection;
        let layer = &mut to.sSpatialLayers[0];
        (layer.iVideoWidth, layer.iVideoHeight, layer.fFrameRate) = (width, height, self.fps);
        (layer.iSpatialBitrate, layer.iDLayerQp) = (bits, self.qp.1.into());
        layer.uiProfileIdc = sys::PRO_BASELINE;
        match self.slices {
            Slices::Count(count) => {
                let mode = if count == 1 { sys::SM_SINGLE_SLICE } else { sys::SM_FIXEDSLCNUM_SLICE };
                (layer.sSliceArgument.uiSliceMode, layer.sSliceArgument.uiSliceNum) = (mode, count.into());
            }
            Slices::Bytes(bytes) => {
                layer.sSliceArgument.uiSliceMode = sys::SM_SIZELIMITED_SLICE;
                (layer.sSliceArgument.uiSliceSizeConstraint, to.uiMaxNalSize) = (bytes, bytes);
            }
        }
        (layer.bVideoSignalTypePresent, layer.bColorDescriptionPresent) = (true, true);
        (layer.uiColorPrimaries, layer.uiTransferCharacteristics, layer.uiColorMatrix) =
            (self.colour, self.colour, self.colour);
    }
}

/// Planes Y, U and V of an I420 picture, of the settings' size and without padding.
pub type Planes<'a> = [&'a [u8]; 3];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Everything a decoder needs to start.
    Idr,
    Delta,
    /// No bytes: the library left the frame out.
    Skipped,
}

/// An encoder of one picture size.
pub struct Encoder {
    /// Made by the library and not null; given back in `drop`.
    raw: *mut sys::ISVCEncoder,
    settings: Settings,
    parameters: Box<sys::SEncParamExt>,
    info: Box<sys::SFrameBSInfo>,
    broken: bool,
}

// SAFETY: the library ties an encoder to no thread, and shares nothing between encoders but constant tables; every call
// needs `&mut self`.
unsafe impl Send for Encoder {}

impl Encoder {
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let settings = settings.checked()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is a place for the pointer that the library gives.
        let code = unsafe { sys::source::APILoader::new().WelsCreateSVCEncoder(&raw mut raw) };
        if code != 0 || raw.is_null() {
            return Err(Error::Library { call: "WelsCreateSVCEncoder", code });
        }
        let mut encoder =
            Self { raw, settings, parameters: Box::default(), info: Box::default(), broken: false };
        let parameters: *mut sys::SEncParamExt = &raw mut *encoder.parameters;
        encoder.call("GetDefaultParams", |table| {
            // SAFETY: both are valid, and the library writes one whole structure.
            table.GetDefaultParams.map(|call| unsafe { call(raw, parameters) })
        })?;
        settings.write(&mut encoder.parameters);
        encoder.set(sys::ENCODER_OPTION_TRACE_LEVEL, &mut sys::WELS_LOG_QUIET.clone())?;
        let parameters: *const sys::SEncParamExt = &raw const *encoder.parameters;
        encoder.call("InitializeExt", |table| {
            // SAFETY: both are valid; the library copies the structure.
            table.InitializeExt.map(|call| unsafe { call(raw, parameters) })
        })?;
        Ok(encoder)
    }

    /// Bitrate and frame rate from the next frame on; with [`Control::Rate`].
    pub fn set_rate(&mut self, bits_per_second: u32, fps: f32) -> Result<(), Error> {
        self.settings = Settings { bits_per_second, fps, ..self.settings }.checked()?;
        self.set(sys::ENCODER_OPTION_FRAME_RATE, &mut self.settings.fps.clone())?;
        let of = |bits| sys::SBitrateInfo { iLayer: sys::SPATIAL_LAYER_0, iBitrate: bits };
        // The highest first: the library refuses a bitrate above it.
        self.set(sys::ENCODER_OPTION_MAX_BITRATE, &mut of(HIGHEST))?;
        self.set(sys::ENCODER_OPTION_BITRATE, &mut of(int(self.settings.bits_per_second)))
    }

    /// The quantiser of all blocks from the next frame on, within the settings' range; with [`Control::Qp`].
    pub fn set_qp(&mut self, qp: u8) -> Result<(), Error> {
        let qp = c_int::from(qp.clamp(self.settings.qp.0, self.settings.qp.1));
        if self.settings.control == Control::Rate || self.parameters.sSpatialLayers[0].iDLayerQp == qp {
            return if self.broken { Err(Error::Broken) } else { Ok(()) };
        }
        self.parameters.sSpatialLayers[0].iDLayerQp = qp;
        self.set(sys::ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, &mut *self.parameters.clone())
    }

    /// Makes the next frame an IDR frame.
    pub fn request_idr(&mut self) -> Result<(), Error> {
        let raw = self.raw;
        self.call("ForceIntraFrame", |table| {
            // SAFETY: the encoder is initialised.
            table.ForceIntraFrame.map(|call| unsafe { call(raw, true) })
        })
    }

    /// Encodes a picture of the instant `at` of a clock that rises; its Annex B bytes take the place of what is in `out`.
    pub fn encode(&mut self, picture: Planes<'_>, at: Duration, out: &mut Vec<u8>) -> Result<Frame, Error> {
        out.clear();
        let (width, height) = (self.parameters.iPicWidth, self.parameters.iPicHeight);
        let luma = usize::try_from(width * height).map_err(|_| Error::Planes)?;
        if picture.iter().zip([luma, luma / 4, luma / 4]).any(|(plane, least)| plane.len() < least) {
            return Err(Error::Planes);
        }
        let [y, u, v] = picture.map(|plane| plane.as_ptr().cast_mut());
        let source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iStride: [width, width / 2, width / 2, 0],
            pData: [y, u, v, std::ptr::null_mut()],
            iPicWidth: width,
            iPicHeight: height,
            // Years at most, so that differences and sums of it fit.
            uiTimeStamp: i64::try_from(at.as_millis()).unwrap_or(i64::MAX).min(1 << 40),
            ..Default::default()
        };
        let (raw, info) = (self.raw, &raw mut *self.info);
        self.call("EncodeFrame", |table| {
            // SAFETY: the planes are as long as size and strides ask for, outlive the call and are only read; `info` is one
            // whole structure for the library to fill.
            table.EncodeFrame.map(|call| unsafe { call(raw, &raw const source, info) })
        })?;
        let frame = match self.info.eFrameType {
            sys::videoFrameTypeIDR => Frame::Idr,
            sys::videoFrameTypeSkip => return Ok(Frame::Skipped),
            sys::videoFrameTypeI | sys::videoFrameTypeP | sys::videoFrameTypeIPMixed => Frame::Delta,
            code => return Err(Error::Library { call: "EncodeFrame", code }),
        };
        let length = |number: c_int| usize::try_from(number).unwrap_or(0);
        for layer in self.info.sLayerInfo.iter().take(length(self.info.iLayerNum)) {
            let units = length(layer.iNalCount);
            if units == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
                continue;
            }
            // SAFETY: the library has filled `iNalCount` lengths, which stay until its next call.
            let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, units) };
            let bytes = lengths.iter().map(|bytes| length(*bytes)).sum();
            // SAFETY: the units of these lengths lie one behind the other from `pBsBuf` on, until the next call.
            out.extend_from_slice(unsafe { std::slice::from_raw_parts(layer.pBsBuf, bytes) });
        }
        Ok(frame)
    }

    /// Callers give `value` the type that the library reads for this option.
    fn set<T>(&mut self, option: sys::ENCODER_OPTION, value: &mut T) -> Result<(), Error> {
        let (raw, value): (_, *mut c_void) = (self.raw, (&raw mut *value).cast());
        self.call("SetOption", |table| {
            // SAFETY: each caller in this file pairs the option with its type; the library copies the value.
            table.SetOption.map(|call| unsafe { call(raw, option, value) })
        })
    }

    /// Calls a function of the encoder's table.
    fn call(
        &mut self,
        call: &'static str,
        function: impl FnOnce(&sys::ISVCEncoderVtbl) -> Option<c_int>,
    ) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Broken);
        }
        // SAFETY: an encoder of the library begins with the pointer to its table.
        let table = unsafe { *self.raw };
        // SAFETY: the table is a constant of the library.
        let code = function(unsafe { &*table }).unwrap_or(-1);
        self.broken = code != 0;
        if self.broken { Err(Error::Library { call, code }) } else { Ok(()) }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `raw` was made by the library, is given back once, and takes what the encoder holds with it.
        unsafe { sys::source::APILoader::new().WelsDestroySVCEncoder(self.raw) };
    }
}
