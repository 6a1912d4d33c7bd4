//! The business code of the generated service, without its questions whether anyone still waits.
use std::collections::HashMap;

pub fn score(payload: &[u8], rounds: u32) -> (f64, u64) {
    let (mut sum, mut digest) = (0f64, 0xcbf2_9ce4_8422_2325u64);
    for round in 0..rounds.max(1) {
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
    (sum, digest)
}
