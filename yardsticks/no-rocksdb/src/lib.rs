//! What limitador's storage on disk names of RocksDB, and nothing behind it: a database here cannot be opened.
//!
//! limitador 0.14 does not compile its storage on Redis without the one on disk, and RocksDB takes long to compile and needs libclang
//! for a storage that is not measured. As no value of [`DBWithThreadMode`] can exist, nothing of this ever runs.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

pub type DB = DBWithThreadMode<MultiThreaded>;
pub type Entry = (Box<[u8]>, Box<[u8]>);

pub struct MultiThreaded;

pub struct DBWithThreadMode<T>(Infallible, PhantomData<T>);

impl<T> DBWithThreadMode<T> {
    pub fn open(_: &Options, _: impl AsRef<Path>) -> Result<Self, Error> {
        Err(Error)
    }

    pub fn get(&self, _: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Error> {
        match self.0 {}
    }

    pub fn delete(&self, _: impl AsRef<[u8]>) -> Result<(), Error> {
        match self.0 {}
    }

    pub fn merge(&self, _: impl AsRef<[u8]>, _: impl AsRef<[u8]>) -> Result<(), Error> {
        match self.0 {}
    }

    pub fn iterator(&self, _: IteratorMode) -> std::iter::Empty<Result<Entry, Error>> {
        match self.0 {}
    }

    pub fn prefix_iterator(&self, _: impl AsRef<[u8]>) -> std::iter::Empty<Result<Entry, Error>> {
        match self.0 {}
    }
}

#[derive(Default)]
pub struct Options;

impl Options {
    pub fn create_if_missing(&mut self, _: bool) {}
    pub fn set_compression_type(&mut self, _: DBCompressionType) {}
    pub fn set_compaction_filter(&mut self, _: &str, _: fn(u32, &[u8], &[u8]) -> CompactionDecision) {}
    pub fn set_merge_operator_associative(&mut self, _: &str, _: fn(&[u8], Option<&[u8]>, &Operands) -> Option<Vec<u8>>) {}
}

/// What a merge is made of.
pub struct Operands;

impl<'a> IntoIterator for &'a Operands {
    type Item = &'a [u8];
    type IntoIter = std::iter::Empty<&'a [u8]>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::empty()
    }
}

pub enum IteratorMode {
    Start,
}

pub enum CompactionDecision {
    Keep,
    Remove,
}

pub enum DBCompressionType {
    Bz2,
    None,
}

#[derive(PartialEq, Eq)]
pub enum ErrorKind {
    NotSupported,
    TimedOut,
    TryAgain,
}

#[derive(Debug)]
pub struct Error;

impl Error {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::NotSupported
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not RocksDB")
    }
}

impl std::error::Error for Error {}
