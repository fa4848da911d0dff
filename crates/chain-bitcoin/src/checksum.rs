//! The checksum of output descriptors (BIP380).

/// The characters that a descriptor may contain, in the order that the checksum counts them in.
const INPUT: &[u8] = b"0123456789()[],'/*abcdefgh@:$%{}\
IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~\
ijklmnopqrstuvwxyzABCDEFGH`#\"\\ ";

/// The characters of the checksum itself.
const OUTPUT: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

const GENERATOR: [u64; 5] = [
    0x00f5_dee5_1989,
    0x00a9_fdca_3312,
    0x001b_ab10_e32d,
    0x0037_06b1_677a,
    0x0064_4d62_6ffd,
];

/// The eight characters that stand behind the `#`; `None` where `body` has a character that no
/// descriptor has.
pub(crate) fn checksum(body: &str) -> Option<String> {
    let mut state = 1;
    let mut group = 0;
    let mut grouped = 0;
    for byte in body.bytes() {
        let position = INPUT.iter().position(|known| *known == byte)?;
        let position = u64::try_from(position).ok()?;
        state = step(state, position & 31);
        group = group * 3 + (position >> 5);
        grouped += 1;
        if grouped == 3 {
            state = step(state, group);
            group = 0;
            grouped = 0;
        }
    }
    if 0 < grouped {
        state = step(state, group);
    }
    for _ in 0..8 {
        state = step(state, 0);
    }
    state ^= 1;
    (0..8)
        .map(|place| {
            let digit = usize::try_from((state >> (5 * (7 - place))) & 31).ok()?;
            OUTPUT.get(digit).map(|byte| char::from(*byte))
        })
        .collect()
}

fn step(state: u64, value: u64) -> u64 {
    let top = state >> 35;
    let shifted = ((state & 0x7_ffff_ffff) << 5) ^ value;
    GENERATOR
        .iter()
        .enumerate()
        .filter(|(bit, _)| (top >> bit) & 1 == 1)
        .fold(shifted, |state, (_, generator)| state ^ generator)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    /// The valid vector of BIP380 and descriptors with checksum from Bitcoin Core's tests.
    #[test]
    fn published_checksums() {
        for descriptor in [
            "raw(deadbeef)#89f8spxm",
            "sh(multi(2,[00000000/111'/222]xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL,xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9MYo6oDaPPLPxSb7gwQN3ih19Zm4Y/0))#tjg09x5t",
        ] {
            let (body, expected) = descriptor.split_once('#').unwrap();
            assert_eq!(checksum(body).as_deref(), Some(expected), "{body}");
        }
    }

    /// The invalid vectors of BIP380: an error in the payload, in the checksum, a missing one.
    #[test]
    fn a_changed_character_is_noticed() {
        assert_ne!(checksum("raw(deedbeef)").as_deref(), Some("89f8spxm"));
        assert_ne!(checksum("raw(deadbeef)").as_deref(), Some("##9f8spx"));
        assert_eq!(checksum("raw(Ü)"), None);
    }
}
