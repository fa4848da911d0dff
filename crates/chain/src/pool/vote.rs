//! Counting what endpoints say. Pure.

use paywatch_domain::BlockHash;

/// What one endpoint says of a height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vote {
    /// Which endpoint, by its place in the pool.
    pub(super) member: usize,
    /// Its hash there; `None` above its tip.
    pub(super) hash: Option<BlockHash>,
}

/// What the votes on one height come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Enough endpoints have this hash: who they are.
    Agreed(BlockHash, Vec<usize>),
    /// Too few endpoints have a block there.
    Absent,
    /// Enough endpoints have a block there, and not the same one.
    Split,
}

/// Counts votes: a hash needs `agree` of them. Of several such hashes that with the most counts, and
/// among these the one that is named first.
pub(super) fn count(votes: &[Vote], agree: usize) -> Count {
    let hashes = || votes.iter().filter_map(|vote| vote.hash.as_ref());
    let mut best: Option<(&BlockHash, Vec<usize>)> = None;
    for hash in hashes() {
        let voters = votes
            .iter()
            .filter(|vote| vote.hash.as_ref() == Some(hash))
            .map(|vote| vote.member);
        let voters: Vec<usize> = voters.collect();
        let most = best.as_ref().map_or(0, |(_, voters)| voters.len());
        if most < voters.len() {
            best = Some((hash, voters));
        }
    }
    match best {
        Some((hash, voters)) if agree <= voters.len() => Count::Agreed(hash.clone(), voters),
        _ if hashes().count() < agree => Count::Absent,
        _ => Count::Split,
    }
}

/// The highest height up to which `agree` endpoints have blocks; `None` when there are not so many.
pub(super) fn height_of(tips: impl Iterator<Item = u64>, agree: usize) -> Option<u64> {
    let mut tips: Vec<u64> = tips.collect();
    tips.sort_unstable_by(|one, other| other.cmp(one));
    tips.get(agree.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_votes_are_counted() {
        let agreed =
            |hash: &str, voters: &[usize]| Count::Agreed(BlockHash::new(hash), voters.to_vec());
        for (hashes, agree, expected) in [
            ("a", 1, agreed("a", &[0])),
            ("a", 2, Count::Absent),
            ("-", 1, Count::Absent),
            ("ab", 1, agreed("a", &[0])),
            ("abb", 1, agreed("b", &[1, 2])),
            ("ab", 2, Count::Split),
            ("a-", 2, Count::Absent),
            ("ab-", 2, Count::Split),
            ("aba", 2, agreed("a", &[0, 2])),
            ("-aba", 2, agreed("a", &[1, 3])),
            ("aabb", 2, agreed("a", &[0, 1])),
            ("abc", 3, Count::Split),
            ("", 1, Count::Absent),
        ] {
            let votes = hashes.chars().enumerate().map(|(member, letter)| Vote {
                member,
                hash: (letter != '-').then(|| BlockHash::new(&letter.to_string())),
            });
            let votes: Vec<Vote> = votes.collect();
            assert_eq!(count(&votes, agree), expected, "{hashes} {agree}");
        }
    }

    #[test]
    fn pool_heights_are_those_of_enough_members() {
        for (tips, agree, expected) in [
            (&[5, 9, 7][..], 1, Some(9)),
            (&[5, 9, 7], 2, Some(7)),
            (&[5, 9, 7], 3, Some(5)),
            (&[5, 9, 7], 4, None),
            (&[5], 0, None),
        ] {
            assert_eq!(height_of(tips.iter().copied(), agree), expected);
        }
    }
}
