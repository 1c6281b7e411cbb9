//! The known word that a misspelt one was probably meant to be.
//! Knows nothing of where the words come from.

/// The nearest of `known`, if it is near enough that guessing it helps: one mistake in three letters.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |s: &str| s.to_lowercase().replace('-', "_");
    let word = plain(word);
    let (best, distance) = known.iter().map(|k| (*k, distance(&word, &plain(k)))).min_by_key(|(_, d)| *d)?;
    (distance <= (word.chars().count().max(best.len()) / 3).max(1)).then_some(best)
}

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_named_and_a_far_one_is_not() {
        let known = ["name", "pod_cidr", "service_cidr", "memory"];
        assert_eq!(nearest("podcidr", &known), Some("pod_cidr"));
        assert_eq!(nearest("Pod-CIDR", &known), Some("pod_cidr"));
        assert_eq!(nearest("memroy", &known), Some("memory"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
    }

    #[test]
    fn distances_count_single_mistakes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
