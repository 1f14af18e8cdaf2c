use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::record::{Outcome, RunKind};
use crate::testing::*;

/// The lines of these records, in batches of the sizes that `sizes` gives in turn.
fn lines(records: &[Record], sizes: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = records;
    let mut sizes = sizes.iter().cycle();
    while let Some(first) = rest.first() {
        let size = sizes.next().copied().unwrap_or(1).clamp(1, rest.len());
        for record in &rest[..size] {
            encode(record, first.seq, &mut out).expect("a record has a text");
        }
        rest = &rest[size..];
    }
    out
}

fn short_history() -> Vec<Record> {
    let mut records = numbered(
        1,
        1,
        [
            created(),
            started(RunKind::Up),
            intent("a/b", 1, serde_json::json!("ü")),
            applied("a/b", crate::record::Change::Created),
            ready("a/b"),
        ],
    );
    records.extend(numbered(6, 1, [finished(Outcome::Succeeded)]));
    records
}

fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let ends = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1);
    std::iter::once(0)
        .chain(ends)
        .filter(|start| *start < bytes.len())
        .collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read(choices in vec(any::<u8>(), 0..120), sizes in vec(1_usize..5, 1..4)) {
        let records = history(&choices);
        let bytes = lines(&records, &sizes);
        let parsed = parse("j", &bytes).expect("intact");
        prop_assert_eq!(parsed.records, records);
        prop_assert_eq!(parsed.end, bytes.len() as u64);
        prop_assert_eq!(parsed.torn, None);
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_told_and_costs_only_itself() {
    let records = short_history();
    let bytes = lines(&records, &[1]);
    let last = *line_starts(&bytes).last().expect("lines");
    for end in last..bytes.len() {
        let parsed = parse("j", &bytes[..end]).expect("a torn tail is tolerated");
        assert_eq!(parsed.records, records[..5], "torn at {end}");
        assert_eq!(parsed.end, last as u64);
        let torn = (end > last).then(|| TornTail {
            line: 6,
            offset: last as u64,
            bytes: (end - last) as u64,
        });
        assert_eq!(parsed.torn, torn);
    }
}

#[test]
fn any_flipped_bit_before_the_last_line_is_detected() {
    let records = short_history();
    let bytes = lines(&records, &[1]);
    let starts = line_starts(&bytes);
    let last = *starts.last().expect("lines");
    for at in 0..last {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let error = parse("j", &damaged).expect_err("damage is refused");
            let StateError::Damaged { line, offset, .. } = error else {
                panic!("byte {at} bit {bit}: {error:?}")
            };
            let expected = starts
                .iter()
                .rposition(|start| *start <= at)
                .expect("a line");
            assert_eq!(
                (line, offset),
                (expected as u64 + 1, starts[expected] as u64),
                "byte {at} bit {bit}"
            );
        }
    }
}

#[test]
fn a_flipped_bit_in_the_last_line_never_yields_a_false_record() {
    let records = short_history();
    let bytes = lines(&records, &[1]);
    let last = *line_starts(&bytes).last().expect("lines");
    for at in last..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let parsed = parse("j", &damaged).expect("it may have been torn");
            assert_eq!(parsed.records, records[..5]);
            assert!(parsed.torn.is_some());
        }
    }
}

#[test]
fn a_hole_in_the_last_batch_is_a_torn_write_and_one_before_it_is_damage() {
    let records = short_history();
    // Batches 1..=2, 3..=4 and 5..=6, each line long enough to be in a page of its own.
    let bytes = lines(&records, &[2]);
    let starts = line_starts(&bytes);
    let hole = |line: usize| {
        let mut holed = bytes.clone();
        let end = starts.get(line + 1).copied().unwrap_or(bytes.len());
        holed[starts[line]..end].fill(0);
        parse("j", &holed)
    };
    for line in 0..4 {
        assert!(
            matches!(hole(line), Err(StateError::Damaged { .. })),
            "line {line}"
        );
    }
    // The first line of the last batch did not reach the disk, the second did.
    let parsed = hole(4).expect("torn");
    assert_eq!(parsed.records, records[..4]);
    assert_eq!(parsed.torn.map(|torn| torn.offset), Some(starts[4] as u64));
    assert_eq!(hole(5).expect("torn").records, records[..5]);
}

#[test]
fn a_line_of_the_same_batch_behind_a_bad_one_does_not_make_it_damage() {
    let records = short_history();
    let bytes = lines(&records, &[2]);
    let starts = line_starts(&bytes);
    let mut torn = bytes.clone();
    // The line end is there, what stands before it is not.
    torn[starts[4]..starts[5] - 1].fill(0);
    let parsed = parse("j", &torn).expect("torn");
    assert_eq!(parsed.records, records[..4]);
    let mut damaged = bytes;
    damaged[starts[3]..starts[4] - 1].fill(0);
    assert!(matches!(
        parse("j", &damaged),
        Err(StateError::Damaged { line: 4, .. })
    ));
}

#[test]
fn lines_that_are_missing_or_doubled_are_damage() {
    let records = short_history();
    let bytes = lines(&records, &[1]);
    let starts = line_starts(&bytes);
    let missing = [&bytes[..starts[2]], &bytes[starts[3]..]].concat();
    assert!(matches!(
        parse("j", &missing),
        Err(StateError::Damaged { line: 3, .. })
    ));
    let doubled = [&bytes[..starts[3]], &bytes[starts[2]..]].concat();
    assert!(matches!(
        parse("j", &doubled),
        Err(StateError::Damaged { line: 4, .. })
    ));
}

#[test]
fn a_newer_format_is_named() {
    let mut covered = b"2 2 1 {}".to_vec();
    let mut line = format!("{:08x} ", crc32c::crc32c(&covered)).into_bytes();
    line.append(&mut covered);
    line.push(b'\n');
    let error = parse("j", &line).expect_err("unknown");
    assert!(
        matches!(
            error,
            StateError::WrongVersion {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.code(), "STA005");
}

#[test]
fn an_intact_line_that_is_no_record_is_refused_also_at_the_end() {
    let mut covered = b"1 2 1 {}".to_vec();
    let mut line = format!("{:08x} ", crc32c::crc32c(&covered)).into_bytes();
    line.append(&mut covered);
    line.push(b'\n');
    assert!(matches!(
        parse("j", &line),
        Err(StateError::Damaged {
            line: 1,
            offset: 0,
            ..
        })
    ));
}
