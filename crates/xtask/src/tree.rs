//! The source tree as the checks see it.

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// A crate of ours.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its Cargo.toml.
    pub manifest: toml::Table,
    /// Whether it lies in `crates/`, and so is a part of the program; else it tests or measures it.
    pub part: bool,
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
        let workspace: toml::Table = std::fs::read_to_string(root.join("Cargo.toml"))?
            .parse()
            .context("Cargo.toml")?;
        let members = workspace
            .get("workspace")
            .and_then(|w| w.get("members"))
            .and_then(toml::Value::as_array);
        let mut packages = Vec::new();
        for member in members.into_iter().flatten().filter_map(toml::Value::as_str) {
            let folders = match member.strip_suffix("/*") {
                Some(parent) => {
                    let entries = std::fs::read_dir(root.join(parent))?;
                    entries.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?
                }
                None => vec![root.join(member)],
            };
            for folder in folders.into_iter().filter(|f| f.join("Cargo.toml").exists()) {
                packages.push(Package::read(&root, folder)?);
            }
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
    fn read(root: &Path, folder: PathBuf) -> Result<Package> {
        let path = folder.join("Cargo.toml");
        let manifest: toml::Table = std::fs::read_to_string(&path)?
            .parse()
            .with_context(|| path.display().to_string())?;
        let name = manifest
            .get("package")
            .and_then(|p| p.get("name"))
            .and_then(toml::Value::as_str);
        let name = name
            .with_context(|| format!("{} names no package", path.display()))?
            .to_owned();
        let part = folder.parent() == Some(&root.join("crates"));
        Ok(Package {
            name,
            folder,
            manifest,
            part,
        })
    }

    /// Names under a dependency table, such as `dependencies`.
    pub fn names_in(&self, table: &str) -> Vec<String> {
        let table = self.manifest.get(table).and_then(toml::Value::as_table);
        table.map(|t| t.keys().cloned().collect()).unwrap_or_default()
    }
}
