//! Damage of what was acknowledged is reported with its place, on old and new segments, and never passed over.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use emostream_log::{
    Log, LogError, Offset,
    embedded::{EmbeddedLog, verify},
};

use crate::{
    dice::Dice,
    setup::{OnDisk, at, values, wait},
};

const RECORDS: u64 = 60;
const VALUE_BYTES: u64 = 200;
/// Header of a frame, and of a segment.
const FRAME_BYTES: u64 = 40 + VALUE_BYTES;
const SEGMENT_HEADER_BYTES: u64 = 64;

/// A log of several segments with one record per append, its segment files in order, and the first offset of each.
fn filled() -> (OnDisk, Vec<PathBuf>, Vec<Offset>) {
    let disk = OnDisk::new();
    let log = disk.open();
    for i in 0..RECORDS {
        wait(log.append(&at(0), vec![Bytes::from(vec![i as u8; VALUE_BYTES as usize])])).unwrap();
    }
    drop(log);
    let entries = fs::read_dir(disk.config.dir.join("taps-0")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "seg"));
    files.sort();
    let base = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let bases: Vec<Offset> = files.iter().map(base).collect();
    assert!(files.len() > 3);
    (disk, files, bases)
}

fn flip(file: &PathBuf, byte: u64) {
    let mut bytes = fs::read(file).unwrap();
    bytes[byte as usize] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

fn position(base: Offset, offset: Offset) -> u64 {
    SEGMENT_HEADER_BYTES + (offset - base) * FRAME_BYTES
}

/// Reads until the end or the first error.
fn read_all(log: &EmbeddedLog, mut from: Offset) -> (Vec<Offset>, Option<LogError>) {
    let mut offsets = Vec::new();
    loop {
        match log.read(&at(0), from, 1000) {
            Ok(read) if read.records.is_empty() => return (offsets, None),
            Ok(read) => {
                offsets.extend(read.records.iter().map(|record| record.offset));
                from = read.next;
            }
            Err(error) => return (offsets, Some(error)),
        }
    }
}

fn expect_damage(error: Option<&LogError>, offset: Offset, place: u64) {
    let Some(LogError::Damaged { partition, offset: found, position, .. }) = error else {
        panic!("expected damage at {offset}, got {error:?}");
    };
    assert_eq!((partition, *found, *position), (&at(0), offset, place));
}

fn damage_found_by_verify(disk: &OnDisk) -> Vec<LogError> {
    verify(&disk.config.dir).unwrap().flat_map(|segment| segment.unwrap().damage).collect()
}

#[test]
fn a_flipped_bit_in_an_old_segment_is_met_at_its_offset() {
    for within in [0, 5, 9, 13, 18, 25, 33, 40, 100, FRAME_BYTES - 1] {
        let (disk, files, bases) = filled();
        let broken = bases[1] + 4;
        flip(&files[1], position(bases[1], broken) + within);
        let log = disk.open();
        let (before, error) = read_all(&log, 0);
        assert_eq!(before, (0..broken).collect::<Vec<_>>());
        expect_damage(error.as_ref(), broken, position(bases[1], broken));
        let (after, error) = read_all(&log, bases[2]);
        assert_eq!((after.len() as u64, error.is_none()), (RECORDS - bases[2], true));
        let found = damage_found_by_verify(&disk);
        assert_eq!(found.len(), 1, "{found:?}");
        expect_damage(found.first(), broken, position(bases[1], broken));
    }
}

#[test]
fn no_bit_flips_unnoticed() {
    let (disk, files, bases) = filled();
    let mut dice = Dice(7);
    for _ in 0..60 {
        let broken = dice.below(RECORDS);
        let segment = bases.partition_point(|&base| base <= broken) - 1;
        let whole = fs::read(&files[segment]).unwrap();
        flip(&files[segment], position(bases[segment], broken) + dice.below(FRAME_BYTES));
        let (before, error) = read_all(&disk.open(), 0);
        assert_eq!(before.len() as u64, broken);
        expect_damage(error.as_ref(), broken, position(bases[segment], broken));
        fs::write(&files[segment], whole).unwrap();
    }
    assert_eq!(read_all(&disk.open(), 0).0.len() as u64, RECORDS);
}

#[test]
fn a_flipped_bit_in_the_newest_segment_is_met_at_its_offset() {
    for within in [0, 5, 9, 13, 18, 25, 33, 40, 100, FRAME_BYTES - 1] {
        let (disk, files, bases) = filled();
        let (file, base) = (files.last().unwrap(), *bases.last().unwrap());
        let broken = base + 2;
        flip(file, position(base, broken) + within);
        // Without the index of the graceful stop: what the frames behind the damage say must be enough.
        fs::remove_file(file.with_extension("index")).unwrap();
        expect_damage(damage_found_by_verify(&disk).first(), broken, position(base, broken));
        let (log, report) = EmbeddedLog::open(&disk.config).unwrap();
        expect_damage(report.partitions[1].damage.first(), broken, position(base, broken));
        assert_eq!(report.partitions[1].torn_bytes, 0);
        let (before, error) = read_all(&log, 0);
        assert_eq!(before.len() as u64, broken);
        expect_damage(error.as_ref(), broken, position(base, broken));
        assert_eq!(read_all(&log, broken + 1).0.len() as u64, RECORDS - broken - 1);
        let next = wait(log.append(&at(0), values(&["on"]))).unwrap();
        assert_eq!(next.first_offset, RECORDS, "no offset is given twice");
        drop(log);
        assert_eq!(read_all(&disk.open(), broken + 1).0.len() as u64, RECORDS - broken);
    }
}

#[test]
fn the_last_record_is_missed_when_a_graceful_stop_vouched_for_it() {
    let (disk, files, bases) = filled();
    let base = *bases.last().unwrap();
    flip(files.last().unwrap(), position(base, RECORDS - 1) + 50);
    let (log, report) = EmbeddedLog::open(&disk.config).unwrap();
    expect_damage(report.partitions[1].damage.first(), RECORDS - 1, position(base, RECORDS - 1));
    assert_eq!(log.bounds(&at(0)).unwrap().end, RECORDS);
    expect_damage(log.read(&at(0), RECORDS - 1, 10).err().as_ref(), RECORDS - 1, position(base, RECORDS - 1));
    wait(log.append(&at(0), values(&["on"]))).unwrap();
    drop(log);
    let (before, error) = read_all(&disk.open(), 0);
    assert_eq!(before.len() as u64, RECORDS - 1);
    assert!(error.is_some());
}

#[test]
fn a_torn_tail_is_cut_and_reported() {
    let (disk, files, bases) = filled();
    let (file, base) = (files.last().unwrap(), *bases.last().unwrap());
    fs::remove_file(file.with_extension("index")).unwrap();
    let mut bytes = fs::read(file).unwrap();
    let whole = position(base, RECORDS - 1) as usize;
    bytes.truncate(whole + 100);
    fs::write(file, &bytes).unwrap();
    let (log, report) = EmbeddedLog::open(&disk.config).unwrap();
    let found = &report.partitions[1];
    assert_eq!((found.torn_bytes, found.bounds.end, found.damage.len()), (100, RECORDS - 1, 0));
    assert_eq!(fs::metadata(file).unwrap().len(), whole as u64);
    assert_eq!(wait(log.append(&at(0), values(&["on"]))).unwrap().first_offset, RECORDS - 1);
}

#[test]
fn a_shortened_old_segment_is_damage() {
    let (disk, files, bases) = filled();
    let cut = bases[1] + 3;
    let bytes = fs::read(&files[1]).unwrap();
    fs::write(&files[1], &bytes[..position(bases[1], cut) as usize]).unwrap();
    let (log, report) = EmbeddedLog::open(&disk.config).unwrap();
    expect_damage(report.partitions[1].damage.first(), cut, position(bases[1], cut));
    expect_damage(read_all(&log, 0).1.as_ref(), cut, position(bases[1], cut));
    assert_eq!(read_all(&log, bases[2]).0.len() as u64, RECORDS - bases[2]);
}

#[test]
fn a_missing_segment_is_damage() {
    let (disk, files, bases) = filled();
    fs::remove_file(&files[2]).unwrap();
    let log = disk.open();
    let (before, error) = read_all(&log, 0);
    assert_eq!(before.len() as u64, bases[2]);
    assert!(matches!(error, Some(LogError::Damaged { offset, .. }) if offset == bases[2]), "{error:?}");
    assert_eq!(read_all(&log, bases[3]).0.len() as u64, RECORDS - bases[3]);
}

#[test]
fn one_copy_of_a_segment_header_is_enough_and_none_is_damage() {
    let (disk, files, bases) = filled();
    flip(&files[1], 20);
    assert_eq!(read_all(&disk.open(), 0).0.len() as u64, RECORDS);
    flip(&files[1], 40);
    let (log, report) = EmbeddedLog::open(&disk.config).unwrap();
    expect_damage(report.partitions[1].damage.first(), bases[1], 0);
    let (before, error) = read_all(&log, 0);
    assert_eq!(before.len() as u64, bases[1]);
    assert!(matches!(error, Some(LogError::Damaged { offset, .. }) if offset == bases[1]), "{error:?}");
}

#[test]
fn a_lost_or_broken_index_is_built_again() {
    let (disk, files, _) = filled();
    fs::remove_file(files[0].with_extension("index")).unwrap();
    flip(&files[1].with_extension("index"), 30);
    let (log, report) = EmbeddedLog::open(&disk.config).unwrap();
    assert!(report.partitions[1].damage.is_empty());
    assert_eq!(read_all(&log, 0).0.len() as u64, RECORDS);
    assert!(files[0].with_extension("index").exists());
}

#[test]
fn a_value_cannot_pose_as_frames() {
    let (disk, files, bases) = filled();
    let frames = fs::read(&files[0]).unwrap()[SEGMENT_HEADER_BYTES as usize..].to_vec();
    let base = *bases.last().unwrap();
    let log = disk.open();
    wait(log.append(&at(0), vec![Bytes::from(frames)])).unwrap();
    wait(log.append(&at(0), values(&["behind"]))).unwrap();
    drop(log);
    let newest = fs::read_dir(disk.config.dir.join("taps-0")).unwrap().map(|entry| entry.unwrap().path());
    let newest = newest.filter(|file| file.extension().is_some_and(|ending| ending == "seg")).max().unwrap();
    let holder: Offset = newest.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let broken = RECORDS.max(base);
    flip(&newest, position(holder, broken) + 1);
    let (log, report) = EmbeddedLog::open(&disk.config).unwrap();
    expect_damage(report.partitions[1].damage.first(), broken, position(holder, broken));
    assert_eq!(log.read(&at(0), RECORDS + 1, 100).unwrap().records[0].value, "behind");
}
