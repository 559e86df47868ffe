use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use arrow_array::RecordBatch;
use gyre_folder::Folder;
use gyre_types::Digest;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{FileMetaData, KeyValue};
use parquet::file::properties::WriterProperties;
use sha2::{Digest as _, Sha256};

use crate::error::{At, DatasetError, Fault};
use crate::source::Source;

/// What temporary files start with; anything with it is garbage at start.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

/// Rows encoded at a time; bounds the memory of the encoder.
pub(crate) const ROWS_PER_BATCH: usize = 512;

/// Rows per row group: what a reader must hold to read one.
const ROWS_PER_GROUP: usize = 8_192;

/// Encoded bytes per row group, about: what a writer holds of rows with many tokens.
const BYTES_PER_GROUP: usize = 32 << 20;

/// The key of the schema's name and version in a file's metadata.
const SCHEMA_KEY: &str = "gyre.schema";

/// The name of a file with rows of a round, by its content. Loaders keep what
/// they read under the names of files: equal names with other content would give
/// the old rows.
pub(crate) fn content_name(round: u32, sha256: &Digest) -> String {
    format!("train-r{round:04}-{}.parquet", &sha256.to_hex()[..16])
}

/// A file under a temporary name in its own folder. Dropping it removes it.
pub(crate) struct Staged {
    /// What its failpoints are called after.
    label: &'static str,
    folder: Folder,
    temporary: String,
    target: String,
    published: bool,
}

impl Staged {
    /// Names the temporary file of a target. One writer at a time works on a
    /// run's folder, so the name needs no randomness; leavings are replaced.
    pub(crate) fn new(folder: &Folder, name: &str, label: &'static str) -> Self {
        Self {
            label,
            folder: folder.clone(),
            temporary: format!("{TEMPORARY_PREFIX}{name}"),
            target: name.to_owned(),
            published: false,
        }
    }

    /// The file under its temporary name, to read it.
    pub(crate) fn temporary(&self) -> Source {
        Source::below(&self.folder, &self.temporary)
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.folder.path().join(&self.target)
    }

    fn create(&self) -> io::Result<File> {
        self.point("creating")?;
        self.folder.create(&self.temporary)
    }

    /// Chooses the name that the file will have in its folder.
    pub(crate) fn renamed(mut self, name: &str) -> Self {
        self.target = name.to_owned();
        self
    }

    /// Gives the file its name, in place of any file that has it. Its content
    /// must be on disk already. After this returns it survives a crash.
    pub(crate) fn publish(mut self) -> Result<(), DatasetError> {
        let target = self.target();
        self.point("renaming").at(&target, "write")?;
        self.folder.rename(&self.temporary, &self.target).at(&target, "write")?;
        self.published = true;
        self.point("renamed").at(&target, "write")?;
        self.folder.sync().at(&self.folder.path(), "write")?;
        self.point("published").at(&target, "write")
    }

    /// A point at which a test may make this file fail; see `gyre_fault::POINTS`.
    fn point(&self, step: &str) -> io::Result<()> {
        gyre_fault::io_point(&format!("{}::{step}", self.label))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: what stays is collected at the next start.
            let _ = self.folder.remove_file(&self.temporary);
        }
    }
}

/// Replaces a small file at once.
pub(crate) fn write_whole(folder: &Folder, name: &str, bytes: &[u8]) -> Result<(), DatasetError> {
    let staged = Staged::new(folder, name, "index");
    let write = || -> io::Result<()> {
        let mut file = staged.create()?;
        io::Write::write_all(&mut file, bytes)?;
        staged.point("written")?;
        file.sync_all()?;
        staged.point("synced")
    };
    write().at(&staged.target(), "write")?;
    staged.publish()
}

/// Digests a file without holding it; gives its size too.
///
/// # Errors
///
/// When the file cannot be opened or read.
pub fn digest_file(source: Source) -> io::Result<(Digest, u64)> {
    let mut file = source.open()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((Digest::from_bytes(hasher.finalize().into()), bytes)),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// What is fixed of a kind of file.
#[derive(Clone, Copy)]
pub struct Form {
    /// Name and version of its schema.
    pub(crate) schema: &'static str,
    /// What its failpoints are called after.
    pub(crate) label: &'static str,
    /// Whether the file says which of its texts are JSON.
    pub(crate) says_json: bool,
}

/// A writer of one form. All that could differ between two writings of the same
/// rows is fixed.
fn writer<W: io::Write + Send>(
    sink: W,
    form: Form,
    first: &RecordBatch,
) -> Result<ArrowWriter<W>, Fault> {
    let properties = WriterProperties::builder()
        .set_created_by("gyre".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
        .set_max_row_group_bytes(Some(BYTES_PER_GROUP))
        .set_key_value_metadata(Some(vec![KeyValue::new(
            SCHEMA_KEY.to_owned(),
            form.schema.to_owned(),
        )]))
        .build();
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(!form.says_json);
    Ok(ArrowWriter::try_new_with_options(sink, first.schema(), options)?)
}

/// The digest and the size of a file that is not written.
pub(crate) struct Unwritten {
    writer: ArrowWriter<Counting>,
}

#[derive(Default)]
struct Counting {
    hasher: Sha256,
    bytes: u64,
}

impl io::Write for Counting {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.hasher.update(buffer);
        self.bytes += buffer.len() as u64;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unwritten {
    pub(crate) fn new(form: Form, first: &RecordBatch) -> Result<Self, Fault> {
        Ok(Self { writer: writer(Counting::default(), form, first)? })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        Ok(self.writer.write(batch)?)
    }

    pub(crate) fn finish(self) -> Result<(Digest, u64), Fault> {
        let Counting { hasher, bytes } = self.writer.into_inner()?;
        Ok((Digest::from_bytes(hasher.finalize().into()), bytes))
    }
}

/// Writes batches of one schema to a temporary file.
pub(crate) struct ParquetFile {
    staged: Staged,
    writer: ArrowWriter<File>,
    /// The same open file, for the fsync after the writer is done with it.
    file: File,
}

impl ParquetFile {
    /// Begins a file; `first` gives the columns and is not yet written.
    pub(crate) fn create(
        (folder, name): (&Folder, &str),
        form: Form,
        first: &RecordBatch,
    ) -> Result<Self, DatasetError> {
        let staged = Staged::new(folder, name, form.label);
        let target = staged.target();
        let file = staged.create().at(&target, "write")?;
        let own = file.try_clone().at(&target, "write")?;
        let writer = writer(own, form, first).at(&target, "write")?;
        Ok(Self { writer, staged, file })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), DatasetError> {
        self.writer.write(batch).at(&self.staged.target(), "write")
    }

    /// Writes the footer and puts the file on disk, still under its temporary name.
    pub(crate) fn finish(mut self) -> Result<Staged, DatasetError> {
        // `into_inner` would hide a full disk in a text; `finish` does not.
        let target = self.staged.target();
        self.writer.finish().at(&target, "write")?;
        self.staged.point("written").at(&target, "write")?;
        self.file.sync_all().at(&target, "write")?;
        self.staged.point("synced").at(&target, "write")?;
        Ok(self.staged)
    }
}

/// What of a file to read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Range {
    pub(crate) offset: usize,
    pub(crate) limit: Option<usize>,
    /// One column alone; all of them where none is named.
    pub(crate) column: Option<&'static str>,
}

/// The batches of a file, in order.
pub(crate) struct Batches {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    /// Rows in the whole file, as its footer says.
    pub(crate) rows: u64,
}

impl Batches {
    /// Opens a file of one of the given schemas, of which the first is the newest.
    pub(crate) fn open(source: Source, known: &[&str], range: Range) -> Result<Self, DatasetError> {
        let path = source.path.clone();
        contain(|| Self::try_open(source, known, range)).at(&path, "read")
    }

    fn try_open(source: Source, known: &[&str], range: Range) -> Result<Self, Fault> {
        let path = source.path.clone();
        let builder = ParquetRecordBatchReaderBuilder::try_new(source.open()?)?;
        let metadata = builder.metadata().file_metadata();
        let found = schema_of(metadata);
        if !found.is_some_and(|found| known.contains(&found)) {
            let found = found.unwrap_or("no schema of gyre's").to_owned();
            return Err(Fault::Schema { found, known: known.join(" and ") });
        }
        let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
        let mut builder = builder.with_batch_size(ROWS_PER_BATCH).with_offset(range.offset);
        if let Some(limit) = range.limit {
            builder = builder.with_limit(limit);
        }
        if let Some(column) = range.column {
            let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
            builder = builder.with_projection(mask);
        }
        Ok(Self { path, reader: builder.build()?, rows })
    }

    /// Reads the next batch and decodes it.
    pub(crate) fn next<T>(
        &mut self,
        decode: impl FnOnce(&RecordBatch) -> Result<T, Fault>,
    ) -> Option<Result<T, DatasetError>> {
        let read = || match self.reader.next() {
            None => Ok(None),
            Some(batch) => decode(&batch?).map(Some),
        };
        contain(read).at(&self.path, "read").transpose()
    }
}

/// The schema that the footer of one of Gyre's files names.
pub(crate) fn read_schema(source: Source) -> Result<String, DatasetError> {
    let path = source.path.clone();
    let read = || {
        let reader = ParquetRecordBatchReaderBuilder::try_new(source.open()?)?;
        let schema = schema_of(reader.metadata().file_metadata());
        schema.map(str::to_owned).ok_or_else(|| Fault::Damaged("it names no schema".to_owned()))
    };
    contain(read).at(&path, "read")
}

fn schema_of(metadata: &FileMetaData) -> Option<&str> {
    let pairs = metadata.key_value_metadata().map(Vec::as_slice).unwrap_or_default();
    pairs.iter().find(|pair| pair.key == SCHEMA_KEY)?.value.as_deref()
}

/// Turns a panic into a fault: parquet asserts some of what a damaged file may
/// hold, and a damaged file must not take the process down.
fn contain<T>(read: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Fault::Damaged(text.unwrap_or("its metadata contradict themselves").to_owned()))
    })
}
