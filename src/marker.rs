//! The measuring marker: a row of black and white cells along the bottom left edge of the picture, by which a decoded
//! frame tells which frame it is and how many presses the game had seen when it was drawn; a second row above it says when
//! that was.
//!
//! Owns the layout; both the drawing and the reading side are here, so that they cannot drift apart. Cells are flat over
//! whole transform blocks of H.264, which is why they survive any quantiser. Nothing here reads a clock.

use tiny_skia::{Color, Paint, Pixmap, Rect, Transform};

/// What a marked frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marker {
    /// Frames drawn since the start.
    pub frame: u32,
    /// Presses of keys, buttons and touches the game has seen, modulo 2^16.
    pub input: u16,
}

/// First cells, most significant bit first: where there is no marker these rarely match.
const SYNC: u8 = 0b1010_0110;
/// The same of the row with the time.
const TIME_SYNC: u8 = 0b0101_1001;
/// A time has this many bits: microseconds of nine years.
const TIME_BITS: u32 = 48;
/// Sync, frame, input, CRC.
const CELLS: u32 = 8 + 32 + 16 + 16;
/// Luma between black (16) and white (235).
const THRESHOLD: u32 = 126;

/// The rectangle a marker covers, as `(x, y, width, height)`; `None` when the picture is too small for one.
pub fn area(width: u32, height: u32) -> Option<(u32, u32, u32, u32)> {
    let cell = Cell::of(width, height)?;
    let rows = if has_time(height) { 2 } else { 1 };
    Some((0, height - cell.height * rows, cell.width * CELLS, cell.height * rows))
}

/// Draws the marker over whatever is there. A picture narrower than 288 or lower than 16 pixels stays as it is.
pub fn draw(picture: &mut Pixmap, marker: Marker) {
    draw_row(picture, 0, to_bits(marker));
}

/// Draws when a picture was drawn: microseconds of a clock that drawer and reader share, such as the machine's. Only the
/// low 48 bits count. A picture lower than 32 pixels has no room for it.
pub fn draw_time(picture: &mut Pixmap, micros: u64) {
    if has_time(picture.height()) {
        draw_row(picture, 1, time_bits(micros));
    }
}

/// Reads when a picture was drawn: the low 48 bits of its microseconds. `None` when it does not say.
pub fn read_time(luma: &[u8], stride: usize, width: u32, height: u32) -> Option<u64> {
    if !has_time(height) {
        return None;
    }
    let bits = read_row(luma, stride, width, height, 1)?;
    let micros = u64::try_from(bits >> 16 & ((1 << TIME_BITS) - 1)).ok()?;
    (time_bits(micros) == bits).then_some(micros)
}

/// Microseconds from `drawn` to `now`, whose low 48 bits count; `None` when `drawn` is not in the past minute.
pub fn age(drawn: u64, now: u64) -> Option<std::time::Duration> {
    let age = now.wrapping_sub(drawn) & ((1 << TIME_BITS) - 1);
    (age < 60_000_000).then(|| std::time::Duration::from_micros(age))
}

/// The machine's clock as [`draw_time`] takes it.
pub fn clock(at: std::time::SystemTime) -> u64 {
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn has_time(height: u32) -> bool {
    height >= 32
}

fn time_bits(micros: u64) -> u128 {
    let micros = micros & ((1 << TIME_BITS) - 1);
    let crc = crc16(&micros.to_be_bytes());
    (u128::from(TIME_SYNC) << 64) | (u128::from(micros) << 16) | u128::from(crc)
}

/// Draws a row of cells, the lowest is 0.
fn draw_row(picture: &mut Pixmap, row: u32, bits: u128) {
    let Some(cell) = Cell::of(picture.width(), picture.height()) else { return };
    let top = picture.height() - cell.height * (row + 1);
    for index in 0..CELLS {
        let white = (bits >> (CELLS - 1 - index)) & 1 == 1;
        let mut paint = Paint::default();
        paint.set_color(if white { Color::WHITE } else { Color::BLACK });
        paint.anti_alias = false;
        #[expect(clippy::cast_precision_loss, reason = "picture sizes are far below 2^24")]
        let rect =
            Rect::from_xywh((index * cell.width) as f32, top as f32, cell.width as f32, cell.height as f32);
        if let Some(rect) = rect {
            picture.fill_rect(rect, &paint, Transform::identity(), None);
        }
    }
}

/// Reads the marker from a decoded picture's luma plane. `None` when there is none, or its checksum does not hold.
pub fn read(luma: &[u8], stride: usize, width: u32, height: u32) -> Option<Marker> {
    from_bits(read_row(luma, stride, width, height, 0)?)
}

fn read_row(luma: &[u8], stride: usize, width: u32, height: u32, row: u32) -> Option<u128> {
    let cell = Cell::of(width, height)?;
    let bottom = height.checked_sub(cell.height * row)?;
    let mut bits = 0_u128;
    for index in 0..CELLS {
        bits = (bits << 1) | u128::from(cell.is_white(luma, stride, index, bottom)?);
    }
    Some(bits)
}

/// Size of one cell in pixels.
#[derive(Clone, Copy)]
struct Cell {
    width: u32,
    height: u32,
}

impl Cell {
    /// Eight pixels wide where that takes at most half of the picture, else four: whole transform blocks either way.
    fn of(width: u32, height: u32) -> Option<Self> {
        let cell = if width >= CELLS * 16 { 8 } else { 4 };
        (width >= CELLS * cell && height >= 16).then_some(Self { width: cell, height: 16 })
    }

    /// Averages the middle of a cell, away from what its neighbours bleed into it.
    fn is_white(self, luma: &[u8], stride: usize, index: u32, bottom: u32) -> Option<bool> {
        let left = usize::try_from(index * self.width + self.width / 4).ok()?;
        let columns = usize::try_from(self.width / 2).ok()?;
        let first = bottom.checked_sub(self.height)? + self.height / 4;
        let mut sum = 0_u32;
        let mut count = 0_u32;
        for row in first..first + self.height / 2 {
            let start = usize::try_from(row).ok()?.checked_mul(stride)?.checked_add(left)?;
            for &value in luma.get(start..start.checked_add(columns)?)? {
                sum += u32::from(value);
                count += 1;
            }
        }
        Some(sum > THRESHOLD * count)
    }
}

fn to_bits(marker: Marker) -> u128 {
    let crc = crc16(&payload(marker));
    (u128::from(SYNC) << 64)
        | (u128::from(marker.frame) << 32)
        | (u128::from(marker.input) << 16)
        | u128::from(crc)
}

fn from_bits(bits: u128) -> Option<Marker> {
    let bytes = bits.to_be_bytes();
    // 72 bits: the last nine bytes.
    let [sync, f0, f1, f2, f3, i0, i1, c0, c1] = *bytes.last_chunk::<9>()?;
    let marker = Marker { frame: u32::from_be_bytes([f0, f1, f2, f3]), input: u16::from_be_bytes([i0, i1]) };
    (sync == SYNC && crc16(&payload(marker)) == u16::from_be_bytes([c0, c1])).then_some(marker)
}

fn payload(marker: Marker) -> [u8; 6] {
    let ([f0, f1, f2, f3], [i0, i1]) = (marker.frame.to_be_bytes(), marker.input.to_be_bytes());
    [f0, f1, f2, f3, i0, i1]
}

/// CRC-16 with the polynomial 0x1021, started at 0xFFFF.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF_u16, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use openh264::OpenH264API;
    use openh264::decoder::Decoder;
    use openh264::encoder::{BitRate, Encoder, EncoderConfig, FrameRate, QpRange, RateControlMode};
    use openh264::formats::{RgbSliceU8, YUVBuffer, YUVSource};

    fn luma_of(picture: &Pixmap) -> Vec<u8> {
        picture
            .pixels()
            .iter()
            .map(|p| 16 + u8::try_from(u32::from(p.green()) * 219 / 255).expect("below 236"))
            .collect()
    }

    #[test]
    fn what_was_drawn_is_read() {
        let mut picture = Pixmap::new(1280, 720).expect("size");
        for marker in [
            Marker::default(),
            Marker { frame: u32::MAX, input: u16::MAX },
            Marker { frame: 0x1234_5678, input: 0xABCD },
        ] {
            draw(&mut picture, marker);
            assert_eq!(read(&luma_of(&picture), 1280, 1280, 720), Some(marker));
        }
    }

    #[test]
    fn a_time_is_read_beside_the_marker_and_says_how_old_a_picture_is() {
        let mut picture = Pixmap::new(640, 360).expect("size");
        let now = clock(std::time::SystemTime::now());
        draw(&mut picture, Marker { frame: 3, input: 4 });
        assert_eq!(read_time(&luma_of(&picture), 640, 640, 360), None);
        draw_time(&mut picture, now);
        let luma = luma_of(&picture);
        assert_eq!(read(&luma, 640, 640, 360), Some(Marker { frame: 3, input: 4 }));
        let drawn = read_time(&luma, 640, 640, 360).expect("a time");
        assert_eq!(age(drawn, now + 1_500), Some(std::time::Duration::from_micros(1_500)));
        assert_eq!(age(drawn, now.wrapping_sub(1)), None, "from the future");
        assert_eq!(area(640, 360), Some((0, 328, 288, 32)));
        assert_eq!(area(640, 20), Some((0, 4, 288, 16)));
    }

    #[test]
    fn a_picture_without_a_marker_reads_as_none() {
        let mut picture = Pixmap::new(1280, 720).expect("size");
        assert_eq!(read(&luma_of(&picture), 1280, 1280, 720), None);
        picture.fill(Color::WHITE);
        assert_eq!(read(&luma_of(&picture), 1280, 1280, 720), None);
    }

    #[test]
    fn short_planes_and_small_pictures_read_as_none() {
        assert_eq!(read(&[], 1280, 1280, 720), None);
        assert_eq!(read(&[255; 100], 10, 10, 10), None);
        assert_eq!(read(&[255; 100], usize::MAX, 1280, 720), None);
        let mut tiny = Pixmap::new(64, 8).expect("size");
        draw(&mut tiny, Marker::default());
    }

    /// Moving noise at a starved bitrate and the coarsest quantisers: the cells must still be read in every frame.
    #[test]
    fn survives_h264_at_low_bitrate() {
        for (width, height) in [(640_u32, 368_u32), (1280, 720)] {
            let config = EncoderConfig::new()
                .bitrate(BitRate::from_bps(100_000))
                .max_frame_rate(FrameRate::from_hz(60.0))
                .rate_control_mode(RateControlMode::Bitrate)
                .skip_frames(false)
                .qp(QpRange::new(40, 51));
            let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).expect("encoder");
            let mut decoder = Decoder::new().expect("decoder");
            let mut picture = Pixmap::new(width, height).expect("size");
            let mut noise = 7_u32;
            for frame in 0..12_u32 {
                for pixel in picture.data_mut().chunks_exact_mut(4) {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let [a, b, c, _] = noise.to_be_bytes();
                    pixel.copy_from_slice(&[a, b, c, 255]);
                }
                let marker = Marker {
                    frame: frame.wrapping_mul(0x9E37_79B9),
                    input: u16::try_from(frame * 77).expect("small"),
                };
                draw(&mut picture, marker);
                draw_time(&mut picture, u64::from(frame) * 16_667);
                let rgb: Vec<u8> = picture.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
                let yuv =
                    YUVBuffer::from_rgb8_source(RgbSliceU8::new(&rgb, (width as usize, height as usize)));
                let bitstream = encoder.encode(&yuv).expect("encodes").to_vec();
                let decoded = decoder.decode(&bitstream).expect("decodes").expect("a picture");
                assert_eq!(
                    read(decoded.y(), decoded.strides().0, width, height),
                    Some(marker),
                    "frame {frame}"
                );
                let time = read_time(decoded.y(), decoded.strides().0, width, height);
                assert_eq!(time, Some(u64::from(frame) * 16_667), "frame {frame}");
            }
        }
    }
}
