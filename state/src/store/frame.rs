//! One record, one line; and what a reader makes of lines that are not as they were written.
//!
//! A line is `CRC VERSION LENGTH FIRST JSON`: the CRC-32C (eight lower-case hexadecimal digits) of all that follows
//! its blank, the format's version, the length of the JSON text in bytes, the number of the first record of the batch
//! that was written and flushed together, and the record.
//!
//! `FIRST` tells damage from a torn write. A batch is flushed before the next one is begun, so when a line is bad and
//! an intact line of a *later* batch stands behind it, the bad line had been durable: damage. When nothing of a later
//! batch follows, the write may have been torn (even in its middle, since pages reach a disk in any order).

use serde::Serialize;

use super::TornTail;
use crate::error::StateError;
use crate::record::{FORMAT_VERSION, Record};

/// Appends a record's line to `out`. `first` is the number of its batch's first record.
pub(super) fn encode(
    record: &Record,
    first: u64,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let mut json = Vec::with_capacity(256);
    record.serialize(&mut serde_json::Serializer::new(&mut json))?;
    let mut covered = format!("{FORMAT_VERSION} {} {first} ", json.len()).into_bytes();
    covered.extend_from_slice(&json);
    out.extend_from_slice(format!("{:08x} ", crc32c::crc32c(&covered)).as_bytes());
    out.extend_from_slice(&covered);
    out.push(b'\n');
    Ok(())
}

/// What a file's bytes hold.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The intact records.
    pub(super) records: Vec<Record>,
    /// Where the last intact record ends.
    pub(super) end: u64,
    /// What follows it, if anything does.
    pub(super) torn: Option<TornTail>,
}

/// A line that cannot be used.
enum Bad {
    /// Not as it was written.
    Broken(&'static str),
    /// Intact, of a format that this program does not know.
    Version(u32),
    /// Intact, but no record.
    NoRecord(String),
}

struct Line<'a> {
    first: u64,
    json: &'a [u8],
}

/// Reads a whole journal. `journal` is its name in messages.
pub(super) fn parse(journal: &str, bytes: &[u8]) -> Result<Parsed, StateError> {
    let mut records: Vec<Record> = Vec::new();
    let mut start = 0_usize;
    let mut number = 1_u64;
    while start < bytes.len() {
        let damaged = |reason: String| StateError::Damaged {
            journal: journal.to_owned(),
            line: number,
            offset: start as u64,
            reason,
        };
        match read(bytes, start) {
            Ok((record, end)) => {
                if let Some(last) = records.last()
                    && record.seq != last.seq.saturating_add(1)
                {
                    return Err(damaged(format!(
                        "record {} stands behind record {}",
                        record.seq, last.seq
                    )));
                }
                records.push(record);
                start = end;
                number += 1;
            }
            Err(Bad::Version(found)) => {
                return Err(StateError::WrongVersion {
                    journal: journal.to_owned(),
                    found,
                    known: FORMAT_VERSION,
                });
            }
            Err(Bad::NoRecord(reason)) => return Err(damaged(reason)),
            Err(Bad::Broken(reason)) => {
                let expected = records.last().map_or(1, |last| last.seq.saturating_add(1));
                if later_batch_stands_behind(bytes, start, expected) {
                    return Err(damaged(reason.to_owned()));
                }
                let torn = TornTail {
                    line: number,
                    offset: start as u64,
                    bytes: (bytes.len() - start) as u64,
                };
                return Ok(Parsed {
                    records,
                    end: start as u64,
                    torn: Some(torn),
                });
            }
        }
    }
    Ok(Parsed {
        records,
        end: start as u64,
        torn: None,
    })
}

/// The record whose line begins at `start`, and where the next line begins.
fn read(bytes: &[u8], start: usize) -> Result<(Record, usize), Bad> {
    let rest = bytes.get(start..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(Bad::Broken("the line has no end"))?;
    let line = check(&rest[..length])?;
    let record: Record =
        serde_json::from_slice(line.json).map_err(|error| Bad::NoRecord(error.to_string()))?;
    if line.first > record.seq {
        return Err(Bad::NoRecord(format!(
            "record {} in a batch that begins with {}",
            record.seq, line.first
        )));
    }
    Ok((record, start + length + 1))
}

/// Checks a line's frame, without its line end.
fn check(line: &[u8]) -> Result<Line<'_>, Bad> {
    let (crc, covered) = line
        .split_at_checked(9)
        .ok_or(Bad::Broken("the line is too short"))?;
    let expected = checksum(crc).ok_or(Bad::Broken("the line does not begin with a checksum"))?;
    if crc32c::crc32c(covered) != expected {
        return Err(Bad::Broken("the checksum does not match"));
    }
    let mut fields = covered.splitn(4, |byte| *byte == b' ');
    let version = number(fields.next()).ok_or(Bad::Broken("the version is missing"))?;
    if version != u64::from(FORMAT_VERSION) {
        return Err(Bad::Version(u32::try_from(version).unwrap_or(u32::MAX)));
    }
    let length = number(fields.next()).ok_or(Bad::Broken("the length is missing"))?;
    let first = number(fields.next()).ok_or(Bad::Broken("the batch is missing"))?;
    let json = fields.next().ok_or(Bad::Broken("the record is missing"))?;
    if json.len() as u64 != length {
        return Err(Bad::Broken("the length does not match"));
    }
    Ok(Line { first, json })
}

/// Eight lower-case hexadecimal digits and a blank. Upper case is refused: it is one flipped bit away.
fn checksum(field: &[u8]) -> Option<u32> {
    let (b' ', digits) = field.split_last()? else {
        return None;
    };
    digits.iter().try_fold(0_u32, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(sum << 4 | u32::from(value))
    })
}

fn number(field: Option<&[u8]>) -> Option<u64> {
    let text = std::str::from_utf8(field?).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Whether an intact line of a batch that begins after record `expected` stands anywhere behind `start`.
fn later_batch_stands_behind(bytes: &[u8], start: usize, expected: u64) -> bool {
    let later = |at: usize| {
        let rest = bytes.get(at..).unwrap_or_default();
        let line = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .and_then(|length| rest.get(..length));
        line.is_some_and(|line| matches!(check(line), Ok(Line { first, .. }) if first > expected))
    };
    // Where the bad line says that it ends: the next line begins behind that even if the line end was overwritten.
    let declared = declared_end(bytes, start).is_some_and(later);
    declared
        || bytes
            .iter()
            .enumerate()
            .skip(start)
            .filter(|(_, byte)| **byte == b'\n')
            .any(|(at, _)| later(at + 1))
}

fn declared_end(bytes: &[u8], start: usize) -> Option<usize> {
    let covered = bytes.get(start.checked_add(9)?..)?;
    let mut fields = covered.splitn(4, |byte| *byte == b' ');
    let mut header = 0_usize;
    let mut length = None;
    for index in 0..3 {
        let field = fields.next()?;
        header = header.checked_add(field.len())?.checked_add(1)?;
        if index == 1 {
            length = number(Some(field));
        }
    }
    let json = usize::try_from(length?).ok()?;
    start
        .checked_add(9)?
        .checked_add(header)?
        .checked_add(json)?
        .checked_add(1)
}

#[cfg(test)]
mod tests;
