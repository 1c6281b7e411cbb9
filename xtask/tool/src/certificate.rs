//! Reads the validity of a certificate from its bytes.
//!
//! RFC 5280, section 4.1: a certificate is a SEQUENCE whose first member is `[0] version OPTIONAL, serialNumber,
//! signature, issuer, validity, …`; a validity is two times in UTC.

use std::ops::RangeInclusive;

use crate::extract::unbase64;

/// Tags of DER that are met on the way.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The seconds since 1970 in which a certificate is valid, from base64 of PEM as a Secret holds it. Nothing of what is
/// no certificate.
pub fn validity(secret: &str) -> Option<RangeInclusive<i64>> {
    let pem = String::from_utf8(unbase64(secret)?).ok()?;
    let block = pem.split("-----BEGIN CERTIFICATE-----").nth(1)?.split("-----END").next()?;
    let der = unbase64(&block.split_whitespace().collect::<String>())?;
    let (certificate, _) = member(&der, SEQUENCE)?;
    let (mut rest, _) = member(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    for _serial_signature_issuer in 0..3 {
        rest = element(rest)?.2;
    }
    let (times, _) = member(rest, SEQUENCE)?;
    let (tag, from, rest) = element(times)?;
    let (tag_of_end, until, _) = element(rest)?;
    Some(time(tag, from)?..=time(tag_of_end, until)?)
}

/// Days from the newest time of day in a text (RFC 3339) until the first of the certificates in it ends, each a word of
/// base64; 0 if one has ended. None without a time or a certificate.
pub fn days_left(text: &str) -> Option<u64> {
    let digits = |word: &str| word.get(..19).map(|word| word.replace(['-', ':', 'T'], "") + "Z");
    let instant = |word| time(GENERALIZED_TIME, digits(word)?.as_bytes());
    let now = text.split_whitespace().filter_map(instant).max()?;
    let end = text.split_whitespace().filter_map(validity).map(|valid| *valid.end()).min()?;
    Some(u64::try_from((end - now) / 86_400).unwrap_or(0))
}

/// Content of a first element with this tag, and what comes after it.
fn member(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag and content of the first element, and what comes after it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match first {
        // A length of its own: that many bytes follow which say it.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        0..=0x7f => (usize::from(first), rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, of 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let years = match tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    };
    if digits.len() != years + 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |part: &[u8]| part.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
    let (year, rest) = digits.split_at(years);
    let year = match (years, number(year)) {
        (2, short) if short < 50 => 2000 + short,
        (2, short) => 1900 + short,
        (_, whole) => whole,
    };
    let parts: Vec<i64> = rest.chunks(2).map(number).collect();
    let &[month, day, hour, minute, second] = parts.as_slice() else { return None };
    ((1..=12).contains(&month)).then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 of a date in the Gregorian calendar; a year begins in March here, so that a leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::base64;

    /// `openssl ca -startdate 20250101000000Z -enddate 20350101000000Z`, of an EC key.
    const MADE: &str = "-----BEGIN CERTIFICATE-----
MIIBCTCBsAIBATAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZyZW1vdGUwHhcNMjUw
MTAxMDAwMDAwWhcNMzUwMTAxMDAwMDAwWjARMQ8wDQYDVQQDDAZyZW1vdGUwWTAT
BgcqhkjOPQIBBggqhkjOPQMBBwNCAAQSvZhKPk1gUPqBKrgn2PTQH+gu5MsmqkVc
/uN9RbCS9TVNEjq5Q1XV2xVTAECG4YutOCn5Y2aI89oOo/siGOUGMAoGCCqGSM49
BAMCA0gAMEUCIDFVCoZHMGLfE/UtLqKc1h/N8TvWJKx/VqFmYFYxIDXUAiEA6Tuq
oZfFy6Y8ak3pNix0frBxSTxcwps87D/HiiMFXq4=
-----END CERTIFICATE-----
";

    #[test]
    fn times_match_those_given_to_openssl() {
        // date -u -d 2025-01-01 +%s; date -u -d 2035-01-01 +%s
        assert_eq!(validity(&base64(MADE.as_bytes())), Some(1_735_689_600..=2_051_222_400));
    }

    #[test]
    fn both_time_formats_are_read() {
        // date -u -d '2050-02-28 23:59:59' +%s, and of the last second of February 2024.
        assert_eq!(time(GENERALIZED_TIME, b"20500228235959Z"), Some(2_529_705_599));
        assert_eq!(time(UTC_TIME, b"240229235959Z"), Some(1_709_251_199));
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!([time(UTC_TIME, b"20500228235959Z"), time(UTC_TIME, b"241329235959Z"), time(2, b"")], [None; 3]);
    }

    #[test]
    fn days_count_from_the_newest_time_to_the_first_end() {
        let secret = base64(MADE.as_bytes());
        let text =
            format!("Lease/a 2033-01-01T00:00:00.5Z \nLease/b 2034-12-30T12:00:00.000000Z\nSecret/c  {secret}\n");
        assert_eq!(days_left(&text), Some(1));
        assert_eq!(days_left(&text.replace("2034", "2036")), Some(0));
        assert_eq!([days_left(&secret), days_left("Lease/a 2033-01-01T00:00:00Z")], [None; 2]);
    }

    #[test]
    fn a_cut_or_garbled_certificate_has_no_validity() {
        let text = base64(MADE.as_bytes());
        for end in 0..text.len() {
            let until = validity(&text[..end]);
            assert!(until.is_none_or(|range| *range.end() == 2_051_222_400), "{end}");
        }
        assert_eq!([validity(""), validity("no base64!"), validity(&base64(b"garbage"))], [None, None, None]);
    }
}
