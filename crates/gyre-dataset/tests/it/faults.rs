use std::error::Error;
use std::fs;
use std::process::Command;

use gyre_dataset::{DatasetWriter, Fault, Layout, read_part, read_shard, write_part};
use gyre_fault::Failpoints;

use crate::scenario::{card, dataset, names, publish, record, row};

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = write_part(&folder.path().join("none"), "a", &[record(1)]).unwrap_err();
    assert!(matches!(error.fault, Fault::Missing(_)), "{error:?}");
    assert!(error.to_string().contains("none/a.parquet"), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "no such file or folder");
}

#[test]
fn a_file_in_place_of_a_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "").unwrap();
    let layout = Layout::new(folder.path());
    let error = layout.create().unwrap_err();
    assert!(matches!(error.fault, Fault::Io(_)), "{error:?}");
    assert!(error.path.starts_with(folder.path()), "{error:?}");
}

/// The disk is full in a process of its own, since it then is for every file.
#[test]
fn a_full_disk_is_called_so_and_leaves_nothing() {
    let full = ["part", "shard", "index"].map(|file| format!("{file}::written=return(enospc)"));
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "faults::what_a_full_disk_leaves", "--nocapture"]);
    let ran = child.env("GYRE_FAILPOINTS", full.join(";")).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{told}");
    for file in ["part", "shard", "index"] {
        assert!(told.contains(&format!("failpoint {file}::written")), "{told}");
    }
}

/// Does nothing unless the test above asks for it.
#[test]
fn what_a_full_disk_leaves() {
    let Some(_full) = Failpoints::from_environment().unwrap() else { return };
    let folder = tempfile::tempdir().unwrap();
    let error = write_part(folder.path(), "a", &[record(1)]).unwrap_err();
    assert!(matches!(error.fault, Fault::DiskFull(_)), "{error:?}");
    assert_eq!(names(folder.path()), [""; 0]);

    let mut writer = DatasetWriter::new(folder.path(), 1);
    writer.push(row(1)).unwrap();
    let error = writer.seal().err().unwrap();
    assert!(matches!(error.fault, Fault::DiskFull(_)), "{error:?}");
    assert_eq!(names(folder.path()), [""; 0]);

    let error = Layout::new(folder.path()).write_index(&card(), &[]).unwrap_err();
    assert!(matches!(error.fault, Fault::DiskFull(_)), "{error:?}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_damaged_file_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = publish(folder.path(), 1, 0..100).path;
    let whole = fs::read(&path).unwrap();
    for kept in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..kept]).unwrap();
        let error = read_shard(&path).err().unwrap();
        assert!(matches!(error.fault, Fault::Damaged(_)), "{kept}: {error:?}");
    }
}

/// Every flipped byte gives rows, or an error: never a panic.
#[test]
fn a_flipped_byte_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = publish(folder.path(), 1, 0..3).path;
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x55;
        fs::write(&path, &flipped).unwrap();
        if let Ok(rows) = read_shard(&path) {
            for row in rows {
                if row.is_err() {
                    break;
                }
            }
        }
    }
}

#[test]
fn another_kind_of_parquet_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let part = write_part(folder.path(), "a", &[record(1)]).unwrap();
    match read_shard(&part.path).err().unwrap().fault {
        Fault::Schema { found, known } => {
            assert_eq!(
                (found.as_str(), known.as_str()),
                ("part/3", "dataset/3 and dataset/2 and dataset/1")
            )
        }
        other => panic!("{other:?}"),
    }
    let shard = publish(folder.path(), 1, 0..1);
    assert!(matches!(read_part(&shard.path).err().unwrap().fault, Fault::Schema { .. }));
}

#[test]
fn a_newer_manifest_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let layout = dataset(folder.path());
    fs::write(folder.path().join("manifest.json"), "{\"format_version\": 4, \"new\": 1}").unwrap();
    match layout.read_manifest().unwrap_err().fault {
        Fault::Schema { found, .. } => assert_eq!(found, "manifest version 4"),
        other => panic!("{other:?}"),
    }
}
