use super::*;

fn picture(width: usize, height: usize, mut seed: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..width * height {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [a, b, c, _] = seed.to_be_bytes();
        out.extend_from_slice(&[a, b, c, 255]);
    }
    out
}

fn whole(width: u32, height: u32) -> Rect {
    Rect { x: 0, y: 0, width, height }
}

/// ITU-R BT.601 section 2.5 and BT.709 section 3, in floating point.
fn reference(matrix: Matrix, [r, g, b]: [f64; 3]) -> [f64; 3] {
    let (red, blue) = match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
    };
    let y = red * r + (1.0 - red - blue) * g + blue * b;
    let difference = |colour: f64, weight: f64| 128.0 + 112.0 / 255.0 * (colour - y) / (1.0 - weight);
    [16.0 + 219.0 / 255.0 * y, difference(b, blue), difference(r, red)]
}

#[test]
fn half_a_picture_has_the_means_of_its_pixels() {
    let mut picture = I420::new(6, 4);
    picture.y = (0..24).collect();
    picture.u = vec![10, 20, 30, 40, 50, 60];
    let mut half = picture.half_black();
    assert_eq!((half.width, half.height), (2, 2), "edges stay even");
    picture.halve_into(&mut half);
    // (0 + 1 + 6 + 7) / 4, rounded.
    assert_eq!(half.y, [4, 6, 16, 18]);
    assert_eq!(half.u, [30], "one of the two rows of chroma and two of three columns");
}

#[test]
fn agrees_with_the_standard_of_its_size_within_rounding() {
    for (width, height, matrix) in [(64, 32, Matrix::Bt601), (34, 720, Matrix::Bt709)] {
        let rgba = picture(width, height, 1);
        let mut frame = I420::new(width as u32, height as u32);
        assert_eq!(frame.matrix(), matrix);
        frame.update(&rgba, width * 4, whole(width as u32, height as u32));
        let at = |x: usize, y: usize| [0, 1, 2].map(|c| f64::from(rgba[(y * width + x) * 4 + c]));
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let want = reference(matrix, at(x, y))[0];
            assert!((f64::from(frame.y[y * width + x]) - want).abs() <= 0.52, "luma {x},{y}");
            let (left, top) = (x & !1, y & !1);
            let four = [at(left, top), at(left + 1, top), at(left, top + 1), at(left + 1, top + 1)];
            let mean = [0, 1, 2].map(|c| four.iter().map(|pixel| pixel[c]).sum::<f64>() / 4.0);
            let want = reference(matrix, mean);
            let index = y / 2 * width / 2 + x / 2;
            assert!((f64::from(frame.u[index]) - want[1]).abs() <= 0.52, "u {x},{y}");
            assert!((f64::from(frame.v[index]) - want[2]).abs() <= 0.52, "v {x},{y}");
        }
    }
}

#[test]
fn a_picture_made_smaller_keeps_the_colours_it_was_drawn_with() {
    assert_eq!(I420::new(1280, 720).half_black().matrix(), Matrix::Bt709);
    assert_eq!(I420::new(1280, 718).matrix(), Matrix::Bt601);
}

#[test]
fn black_white_and_primaries_stay_in_the_limited_range() {
    for (rgb, y) in
        [([0, 0, 0], 16), ([255, 255, 255], 235), ([255, 0, 0], 81), ([0, 255, 0], 145), ([0, 0, 255], 41)]
    {
        let rgba: Vec<u8> = (0..4).flat_map(|_| [rgb[0], rgb[1], rgb[2], 255]).collect();
        let mut frame = I420::new(2, 2);
        frame.update(&rgba, 8, whole(2, 2));
        assert_eq!(frame.y, [y; 4]);
        assert!((16..=240).contains(&frame.u[0]) && (16..=240).contains(&frame.v[0]));
    }
}

#[test]
fn only_the_rectangle_changes_widened_to_even_edges() {
    let rgba = picture(16, 16, 5);
    let mut all = I420::new(16, 16);
    all.update(&rgba, 64, whole(16, 16));
    let mut part = I420::new(16, 16);
    part.update(&rgba, 64, Rect { x: 3, y: 5, width: 4, height: 2 });
    for y in 0..16 {
        for x in 0..16 {
            let inside = (2..8).contains(&x) && (4..8).contains(&y);
            assert_eq!(part.y[y * 16 + x], if inside { all.y[y * 16 + x] } else { 16 }, "{x},{y}");
        }
    }
}

#[test]
fn a_part_in_the_screens_order_of_bytes_gives_the_same_picture() {
    let rgba = picture(16, 16, 9);
    let mut whole_picture = I420::new(16, 16);
    whole_picture.update(&rgba, 64, Rect { x: 4, y: 2, width: 6, height: 8 });
    let mut part = I420::new(16, 16);
    let rect = part.widened(Rect { x: 5, y: 3, width: 4, height: 7 });
    assert_eq!(rect, Rect { x: 4, y: 2, width: 6, height: 8 });
    let mut bgrx = Vec::new();
    for y in 2..10 {
        for pixel in rgba[y * 64 + 16..y * 64 + 40].chunks_exact(4) {
            bgrx.extend_from_slice(&[pixel[2], pixel[1], pixel[0], 0]);
        }
    }
    part.update_bgrx(&bgrx, rect);
    assert_eq!((&part.y, &part.u, &part.v), (&whole_picture.y, &whole_picture.u, &whole_picture.v));
    // Too few bytes, and a rectangle that is not even, change nothing.
    part.update_bgrx(&bgrx[..20], whole(16, 16));
    part.update_bgrx(&bgrx, Rect { x: 5, y: 2, width: 6, height: 8 });
    assert_eq!(part.y, whole_picture.y);
}

#[test]
fn a_copied_rectangle_is_the_others_and_the_rest_stays() {
    let mut other = I420::new(16, 16);
    other.update(&picture(16, 16, 5), 64, whole(16, 16));
    let (mut copied, mut drawn) = (I420::new(16, 16), I420::new(16, 16));
    let rect = Rect { x: 3, y: 5, width: 4, height: 20 };
    copied.copy_rect(&other, rect);
    drawn.update(&picture(16, 16, 5), 64, rect);
    assert!(copied == drawn && !drawn.is_plain() && I420::new(16, 16).is_plain());
    copied.copy_rect(&I420::new(18, 16), rect);
    assert_eq!(copied, drawn, "another size is no source");
}

#[test]
fn rectangles_outside_and_short_pictures_change_nothing() {
    let mut frame = I420::new(16, 16);
    let before = frame.y.clone();
    frame.update(&[255; 10], 64, whole(16, 16));
    frame.update(&picture(16, 16, 5), 64, Rect { x: 40, y: 40, width: u32::MAX, height: u32::MAX });
    assert_eq!(frame.y, before);
}
