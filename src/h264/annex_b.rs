//! The byte stream format (ITU-T H.264 Annex B). Pure; any bytes are read.

/// NAL units of a byte stream (ITU-T H.264 Annex B), without start codes and trailing zeros; empty ones left out.
pub fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        loop {
            let current = rest?;
            let end = find_start_code(current);
            rest = end.and_then(|end| after_start_code(&current[end..]));
            let mut unit = &current[..end.unwrap_or(current.len())];
            while let Some((0, shorter)) = unit.split_last() {
                unit = shorter;
            }
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

fn after_start_code(stream: &[u8]) -> Option<&[u8]> {
    find_start_code(stream).map(|at| &stream[at + 3..])
}

/// Position of the next `00 00 01`.
fn find_start_code(stream: &[u8]) -> Option<usize> {
    // Ones are rarer than zeros in a bit stream of low entropy; the vectorised search for them does the work.
    let mut from = 2;
    while from < stream.len() {
        let one = from + stream[from..].iter().position(|&byte| byte == 1)?;
        if stream[one - 1] == 0 && stream[one - 2] == 0 {
            return Some(one - 2);
        }
        from = one + 1;
    }
    None
}
