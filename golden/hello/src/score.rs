//! The sample's business: heavy on CPU and on the allocator, about 2.5 ms a round.
use std::collections::HashMap;

/// Builds a table of small strings and vectors from `payload`, sorts it and digests it, `rounds` times. `keep_going` is
/// asked between rounds, so that the work ends with its caller.
pub(crate) fn score<E>(payload: &[u8], rounds: u32, keep_going: impl Fn() -> Result<(), E>) -> Result<(f64, u64), E> {
    let (mut sum, mut digest) = (0f64, 0xcbf2_9ce4_8422_2325u64);
    for round in 0..rounds.max(1) {
        keep_going()?;
        let mut seed = u64::from(round) ^ 0x9e37_79b9_7f4a_7c15 ^ payload.len() as u64;
        let mut table: HashMap<String, Vec<f32>> = HashMap::new();
        for i in 0..6_000usize {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let byte = payload.get(i % payload.len().max(1)).copied().unwrap_or(7);
            let row = table.entry(format!("feature-{}-{byte}", seed % 1_500)).or_default();
            row.push((seed % 1_000) as f32 / 1_000.0 + f32::from(byte));
            if row.len() > 8 {
                row.clear();
            }
        }
        let mut rows: Vec<(String, Vec<f32>)> = table.into_iter().collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, row) in &rows {
            for byte in name.bytes() {
                digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            sum += row.iter().map(|x| f64::from(*x).sqrt()).sum::<f64>();
        }
    }
    Ok((sum, digest))
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn the_same_input_gives_the_same_score() {
        let go_on = || Ok::<_, ()>(());
        assert_eq!(score(b"abc", 2, go_on), score(b"abc", 2, go_on));
        assert_ne!(score(b"abc", 2, go_on), score(b"abd", 2, go_on));
    }

    #[test]
    fn it_ends_with_its_caller() {
        assert_eq!(score(b"abc", 2, || Err("gone")), Err("gone"));
    }
}
