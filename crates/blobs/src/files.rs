//! Open segment files: a bounded number, the least recently used is closed.

use crate::layer::{File, FileLayer};
use crate::segment::file_name;
use crate::{Error, Result};
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct OpenSegments(Mutex<LruCache<u32, Arc<dyn File>>>);

impl OpenSegments {
    pub(crate) fn new(limit: usize) -> OpenSegments {
        OpenSegments(Mutex::new(LruCache::new(
            NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN),
        )))
    }

    pub(crate) fn put(&self, segment: u32, file: Arc<dyn File>) {
        self.0.lock().put(segment, file);
    }

    /// Closes the file when its last reader is done.
    pub(crate) fn forget(&self, segment: u32) {
        self.0.lock().pop(&segment);
    }

    pub(crate) fn open(&self, layer: &dyn FileLayer, dir: &Path, segment: u32) -> Result<Arc<dyn File>> {
        if let Some(file) = self.0.lock().get(&segment) {
            return Ok(Arc::clone(file));
        }
        let path = dir.join(file_name(segment));
        let file = layer.open(&path).map_err(|e| Error::io("open", &path, e))?;
        self.0.lock().put(segment, Arc::clone(&file));
        Ok(file)
    }
}
