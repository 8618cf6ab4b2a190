//! The source tree as the checks see it.

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// A crate of ours.
pub struct Package {
    /// Its name, which is its folder's.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its Cargo.toml.
    pub manifest: toml::Table,
}

/// The whole tree.
pub struct Tree {
    /// The folder that holds everything.
    pub root: PathBuf,
    /// Our crates.
    pub packages: Vec<Package>,
}

impl Tree {
    /// Reads the tree this program was built from.
    pub fn read() -> Result<Tree> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let mut packages = Vec::new();
        for entry in std::fs::read_dir(root.join("crates"))? {
            let folder = entry?.path();
            let path = folder.join("Cargo.toml");
            if !path.exists() {
                continue;
            }
            let manifest = std::fs::read_to_string(&path)?
                .parse()
                .with_context(|| path.display().to_string())?;
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            packages.push(Package { name, folder, manifest });
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Tree { root, packages })
    }

    /// `path` as people name it: from the root.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// All files below `folder` with that extension, in order; build results and hidden folders left out.
    pub fn files(&self, folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if path.is_dir()
                    && !name.starts_with('.')
                    && !matches!(name.as_str(), "target" | "node_modules" | "demo-data")
                {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == extension) {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Package {
    /// Names under a dependency table, such as `dependencies`.
    pub fn names_in(&self, table: &str) -> Vec<String> {
        let table = self.manifest.get(table).and_then(toml::Value::as_table);
        table.map(|t| t.keys().cloned().collect()).unwrap_or_default()
    }
}
