//! The headers of a question, as far as anybody reads them: what `output` is for the answer.

use actix_web::http::header::{HeaderMap, HeaderName, InvalidHeaderName};

use crate::proxy::{Headers, Memory, Presented, Reader};
use crate::reason::DenyReason;

/// How the proxy speaks, and the names under which it does.
#[derive(Debug)]
pub struct Input {
    reader: Reader,
    names: Box<[HeaderName]>,
}

impl Input {
    /// Reads all headers that this reader names, and no others.
    ///
    /// # Errors
    /// A name that no header can have.
    pub fn new(reader: Reader) -> Result<Self, InvalidHeaderName> {
        let names = reader.names.all().map(|name| HeaderName::from_bytes(name.as_bytes()));
        Ok(Self { names: names.collect::<Result<_, _>>()?, reader })
    }

    /// How the proxy speaks.
    pub(crate) const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// As [`Reader::read`].
    ///
    /// # Errors
    /// The reason to deny.
    pub(super) fn read(
        &self,
        headers: &HeaderMap,
        memory: &mut Memory,
    ) -> Result<Presented, DenyReason> {
        self.reader.read(&self.lines(headers), memory)
    }

    /// As [`Reader::knows`].
    pub(super) fn knows(&self, headers: &HeaderMap, memory: &Memory) -> bool {
        self.reader.knows(&self.lines(headers), memory)
    }

    /// As [`Reader::set_aside`].
    pub(super) fn set_aside(&self, headers: &HeaderMap, memory: &mut Memory, is_verified: bool) {
        self.reader.set_aside(&self.lines(headers), memory, is_verified);
    }

    fn lines<'r>(&'r self, headers: &'r HeaderMap) -> Lines<'r> {
        Lines { headers, names: &self.names }
    }
}

/// The lines of the headers that are read. Others are left out: some proxies pass on all that a
/// client sends, and walking them would cost what the client likes.
struct Lines<'r> {
    headers: &'r HeaderMap,
    names: &'r [HeaderName],
}

impl Headers for Lines<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.names.iter().flat_map(|name| {
            self.headers.get_all(name).map(|value| (name.as_str(), value.as_bytes()))
        })
    }
}
