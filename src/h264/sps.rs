//! What an H.264 sequence parameter set says of profile, level, size and order (ITU-T H.264 sections 7.3.2.1.1 and 7.4.2.1).
//!
//! Pure; bits that are missing end the reading with `None`.

/// A parameter set's values that the contract is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpsFacts {
    pub profile: u8,
    /// `constraint_set0_flag` is the highest bit.
    pub constraints: u8,
    /// Ten times the level: 31 is level 3.1.
    pub level: u8,
    /// 2: pictures come in the order they are shown.
    pub order_type: u32,
    pub width: u32,
    pub height: u32,
    /// Pixels that are coded: before cropping, in whole macroblocks.
    pub coded_pixels: u64,
    /// `matrix_coefficients` of its VUI (table E-5): 1 is BT.709, 5 and 6 are BT.601.
    pub matrix: Option<u8>,
}

impl SpsFacts {
    /// Constrained baseline by the profile, or by flags that promise the stream obeys it (section A.2.1.1).
    pub fn constrained_baseline(&self) -> bool {
        let (set0, set1) = (self.constraints & 0x80 != 0, self.constraints & 0x40 != 0);
        match self.profile {
            66 => set1,
            77 => set0 && set1,
            _ => false,
        }
    }

    /// As in `profile-level-id`, with a name.
    pub fn name(&self) -> String {
        let name = match self.profile {
            _ if self.constrained_baseline() => "constrained baseline",
            66 => "baseline",
            77 => "main",
            88 => "extended",
            100 => "high",
            _ => "another profile",
        };
        let (whole, tenth) = (self.level / 10, self.level % 10);
        format!("{name} {whole}.{tenth} ({:02x}{:02x}{:02x})", self.profile, self.constraints, self.level)
    }

    /// `nal` with its header byte.
    pub fn parse(nal: &[u8]) -> Option<Self> {
        let raw = unescaped(nal.get(1..)?);
        let [profile, constraints, level, rest @ ..] = raw.as_slice() else { return None };
        let mut bits = Bits::new(rest);
        bits.ue()?;
        let mut chroma = 1;
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            chroma = bits.ue()?;
            if chroma == 3 {
                bits.bit()?;
            }
            bits.ue()?;
            bits.ue()?;
            bits.bit()?;
            if bits.bit()? {
                for list in 0..if chroma == 3 { 12 } else { 8 } {
                    if bits.bit()? {
                        scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        bits.ue()?;
        let order_type = bits.ue()?;
        match order_type {
            0 => {
                bits.ue()?;
            }
            1 => {
                bits.bit()?;
                bits.ue()?;
                bits.ue()?;
                for _ in 0..bits.ue()?.min(255) {
                    bits.ue()?;
                }
            }
            _ => {}
        }
        bits.ue()?;
        bits.bit()?;
        let columns = bits.ue()?.checked_add(1)?;
        let rows = bits.ue()?.checked_add(1)?;
        let frames_only = bits.bit()?;
        if !frames_only {
            bits.bit()?;
        }
        bits.bit()?;
        let (mut crop_x, mut crop_y) = (0, 0);
        if bits.bit()? {
            crop_x = bits.ue()?.checked_add(bits.ue()?)?;
            crop_y = bits.ue()?.checked_add(bits.ue()?)?;
        }
        let field = if frames_only { 1 } else { 2 };
        let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
        let unit_y = field * if chroma == 1 { 2 } else { 1 };
        let coded_pixels =
            u64::from(columns).checked_mul(256)?.checked_mul(u64::from(rows) * u64::from(field))?;
        let width = columns.checked_mul(16)?.checked_sub(crop_x.checked_mul(unit_x)?)?;
        let height = rows.checked_mul(16 * field)?.checked_sub(crop_y.checked_mul(unit_y)?)?;
        Some(Self {
            profile: *profile,
            constraints: *constraints,
            level: *level,
            order_type,
            width,
            height,
            coded_pixels,
            // What ends before its VUI has one that says nothing.
            matrix: matrix(&mut bits),
        })
    }
}

/// From `vui_parameters_present_flag` on (section E.1.1).
fn matrix(bits: &mut Bits<'_>) -> Option<u8> {
    let mut number =
        |length: u32| (0..length).try_fold(0_u32, |sum, _| Some(sum << 1 | u32::from(bits.bit()?)));
    let (vui, aspect) = (number(1)?, number(1)?);
    // `Extended_SAR` carries its two numbers.
    if vui == 1 && aspect == 1 && number(8)? == 255 {
        number(32)?;
    }
    let overscan = number(1)?;
    number(overscan)?;
    let colours = vui == 1 && number(1)? == 1 && number(5)? & 1 == 1;
    if colours { number(24).and_then(|three| u8::try_from(three & 0xFF).ok()) } else { None }
}

/// Bytes in which the first fields of a NAL unit lie, emulation prevention included.
const FIRST_FIELDS: usize = 24;

/// True when a slice is bidirectional (section 7.3.3). `nal` with its header byte. Allocates nothing.
pub fn is_b_slice(nal: &[u8]) -> bool {
    let raw = first_fields(nal.get(1..).unwrap_or_default());
    let mut bits = Bits::new(&raw);
    bits.ue().and_then(|_| bits.ue()).is_some_and(|kind| kind % 5 == 1)
}

/// The number by which slices refer to a sequence or picture parameter set, with its kind. `nal` with its header byte.
pub fn parameter_set_id(nal: &[u8]) -> Option<(u8, u32)> {
    let kind = super::nal_type(nal);
    let skip = match kind {
        super::NAL_SPS => 4,
        super::NAL_PPS => 1,
        _ => return None,
    };
    let raw = first_fields(nal.get(skip..)?);
    Some((kind, Bits::new(&raw).ue()?))
}

fn scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()? + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// Without emulation prevention bytes (section 7.4.1).
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// The same of the beginning; zeros behind its end.
fn first_fields(bytes: &[u8]) -> [u8; FIRST_FIELDS] {
    let mut out = [0; FIRST_FIELDS];
    let (mut zeros, mut places) = (0, out.iter_mut());
    for &byte in bytes.iter().take(FIRST_FIELDS) {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        if let Some(place) = places.next() {
            *place = byte;
        }
    }
    out
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    /// Exp-Golomb (section 9.1).
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let mut value = 0_u32;
        for _ in 0..zeros {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(((1_u64 << zeros) - 1) as u32 + value)
    }

    fn se(&mut self) -> Option<i64> {
        let value = i64::from(self.ue()?);
        Some(if value % 2 == 1 { value / 2 + 1 } else { -(value / 2) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::nal_units;
    use crate::runner::encoder::open_h264::OpenH264;
    use crate::runner::encoder::{Format, VideoEncoder};
    use crate::runner::i420::I420;
    use proptest::prelude::*;
    use std::time::Instant;

    #[test]
    fn our_own_encoder_is_constrained_baseline_of_its_size() {
        let picture = I420::new(636, 358);
        let mut encoder = OpenH264::new(Format::of(&picture, 30), 1000).unwrap();
        let stream = encoder.encode(&picture, &[], Instant::now()).unwrap().unwrap().bytes.to_vec();
        let sps = nal_units(&stream).find(|nal| nal[0] & 0x1f == 7).unwrap();
        let sps = SpsFacts::parse(sps).unwrap();
        assert!(sps.constrained_baseline(), "{sps:?}");
        assert_eq!((sps.width, sps.height, sps.coded_pixels), (636, 358, 640 * 368));
        assert!(sps.name().starts_with("constrained baseline "), "{}", sps.name());
        assert_eq!(sps.matrix, Some(6), "BT.601 below HD");
        let slice = nal_units(&stream).find(|nal| nal[0] & 0x1f == 5).unwrap();
        assert!(!is_b_slice(slice));
    }

    #[test]
    fn our_own_encoder_tells_the_colours_of_its_pictures() {
        for (picture, matrix) in
            [(I420::new(640, 360), 6), (I420::new(1280, 720), 1), (I420::new(1280, 720).half_black(), 1)]
        {
            let mut encoder = OpenH264::new(Format::of(&picture, 30), 1000).unwrap();
            let stream = encoder.encode(&picture, &[], Instant::now()).unwrap().unwrap().bytes.to_vec();
            let sps = nal_units(&stream).find(|nal| nal[0] & 0x1f == 7).unwrap();
            assert_eq!(SpsFacts::parse(sps).unwrap().matrix, Some(matrix));
        }
    }

    #[test]
    fn a_high_profile_set_is_read_to_its_size() {
        // x264, 320x180, high, level 1.3: with cropping and reordering.
        let nal = [
            0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
            0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0x99, 0x60,
        ];
        let sps = SpsFacts::parse(&nal).unwrap();
        assert_eq!((sps.width, sps.height, sps.profile), (320, 180, 100));
        assert!(!sps.constrained_baseline() && sps.name().starts_with("high 1.3"));
    }

    #[test]
    fn slice_types_are_read() {
        // first_mb_in_slice 0 (1), slice_type 1 (010) or 6 (00111) or 0 (1) or 5 (00110).
        assert!(is_b_slice(&[0x01, 0b1010_0000]) && is_b_slice(&[0x01, 0b1001_1100]));
        assert!(!is_b_slice(&[0x41, 0b1100_0000]) && !is_b_slice(&[0x41, 0b1001_1000]));
        assert!(!is_b_slice(&[]) && !is_b_slice(&[0x41]));
    }

    #[test]
    fn parameter_sets_are_known_by_kind_and_number() {
        // seq_parameter_set_id 0 (1) and 1 (010) behind profile, flags and level; pic_parameter_set_id 2 (011).
        assert_eq!(parameter_set_id(&[0x67, 66, 0, 31, 0b1000_0000]), Some((7, 0)));
        assert_eq!(parameter_set_id(&[0x67, 66, 0, 31, 0b0100_0000]), Some((7, 1)));
        assert_eq!(parameter_set_id(&[0x68, 0b0110_0000]), Some((8, 2)));
        assert_eq!((parameter_set_id(&[0x65, 0x88]), parameter_set_id(&[0x67, 66])), (None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = SpsFacts::parse(&bytes);
            let _ = is_b_slice(&bytes);
            let _ = parameter_set_id(&bytes);
        }
    }
}
