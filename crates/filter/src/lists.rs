//! Lists that scripts may ask (`:list`, RFC 6134): those that are kept somewhere else than in the script.
//!
//! | name | what is in it |
//! |---|---|
//! | `:addrbook:default`, `urn:ietf:params:sieve:addrbook:default` | the user's address book; as long as accounts have none, nobody |
//! | `tag:OURNAME,DATE:NAME` | the lines of the administrator's file NAME; OURNAME is the name of this server |
//! | `tag:DOMAIN,DATE:NAME` | whom NAME@DOMAIN leads to: the addresses of an alias, the members of a group |
//!
//! The date is part of such a name (RFC 4151 §2.1) and says nothing here. Entries are compared without regard to case.

use directory::{Directory, Final, Resolution};
use lru::LruCache;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// Octets of a file with a list. What is longer cannot be asked: it would be held in memory.
const FILE_BYTES: u64 = 4 << 20;
/// Files kept in memory.
const KEPT: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The user's address book.
const ADDRESS_BOOK: [&str; 2] = [":addrbook:default", "urn:ietf:params:sieve:addrbook:default"];

/// A list.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// As they are written, each once.
    pub(crate) entries: Vec<String>,
    small: HashSet<String>,
}

impl List {
    fn of(entries: impl IntoIterator<Item = String>) -> List {
        let mut list = List::default();
        for entry in entries {
            if list.small.insert(entry.to_lowercase()) {
                list.entries.push(entry);
            }
        }
        list
    }

    pub(crate) fn contains(&self, value: &str) -> bool {
        self.small.contains(&value.to_lowercase())
    }
}

/// When a file was changed, and what was in it.
type Read = (Option<SystemTime>, Arc<List>);

/// Finds lists.
pub(crate) struct Lists {
    /// The administrator's files.
    folder: Option<PathBuf>,
    hostname: String,
    files: Mutex<LruCache<PathBuf, Read>>,
}

impl Lists {
    pub(crate) fn new(folder: Option<PathBuf>, hostname: &str) -> Lists {
        Lists {
            folder,
            hostname: hostname.to_owned(),
            files: Mutex::new(LruCache::new(KEPT)),
        }
    }

    /// The list of a name. `Ok(None)`: there is none. `Err`: it cannot be read now.
    pub(crate) fn find(&self, name: &str, directory: Option<&Directory>) -> Result<Option<Arc<List>>, String> {
        if ADDRESS_BOOK.iter().any(|book| book.eq_ignore_ascii_case(name)) {
            return Ok(Some(Arc::default()));
        }
        let Some((authority, name)) = tag(name) else {
            return Ok(None);
        };
        if authority.eq_ignore_ascii_case(&self.hostname)
            && let Some(list) = self.file(name)?
        {
            return Ok(Some(list));
        }
        Ok(directory.and_then(|directory| members(directory, &format!("{name}@{authority}"))))
    }

    fn file(&self, name: &str) -> Result<Option<Arc<List>>, String> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let Some(folder) = self
            .folder
            .as_ref()
            .filter(|_| name.chars().all(plain) && !name.starts_with('.'))
        else {
            return Ok(None);
        };
        let file = folder.join(name);
        let Some(found) = std::fs::metadata(&file).ok().filter(std::fs::Metadata::is_file) else {
            return Ok(None);
        };
        let changed = found.modified().ok();
        if let Some((known, list)) = self.files.lock().get(&file)
            && *known == changed
        {
            return Ok(Some(Arc::clone(list)));
        }
        if found.len() > FILE_BYTES {
            return Err(format!("the list {name} has more than {FILE_BYTES} octets"));
        }
        let text = std::fs::read(&file).map_err(|error| format!("the list {name} cannot be read: {error}"))?;
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(str::trim);
        let entries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let list = Arc::new(List::of(entries.map(str::to_owned)));
        self.files.lock().put(file, (changed, Arc::clone(&list)));
        Ok(Some(list))
    }
}

/// The authority and the specific part of a tag URI (RFC 4151 §2.1).
fn tag(name: &str) -> Option<(&str, &str)> {
    let rest = name
        .get(..4)
        .filter(|scheme| scheme.eq_ignore_ascii_case("tag:"))
        .and(name.get(4..))?;
    let (entity, specific) = rest.split_once(':')?;
    let (authority, date) = entity.split_once(',')?;
    let dated = date.len() >= 4 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    (dated && !authority.is_empty() && !specific.is_empty()).then_some((authority, specific))
}

/// Whom an alias leads to, or who is in a group.
fn members(directory: &Directory, address: &str) -> Option<Arc<List>> {
    let name = |id| directory.account(id).map(|account| account.address().to_owned());
    match directory.resolve(address) {
        Resolution::Account { account, .. } if directory.account(account).is_some_and(|account| account.group) => {
            let members = directory.group_members(account);
            Some(Arc::new(List::of(members.into_iter().filter_map(name))))
        }
        // What a catch-all leads to is no list.
        Resolution::Alias { name: alias, .. } if !alias.starts_with('@') => {
            let finals = directory.expand(address).finals;
            Some(Arc::new(List::of(finals.into_iter().map(|end| match end {
                Final::Account { address, .. } | Final::Remote(address) => address,
            }))))
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lists() {
        for (name, expected) in [
            ("tag:x.example,2026:vip", Some(("x.example", "vip"))),
            ("TAG:x.example,2026-11-25:a:b", Some(("x.example", "a:b"))),
            ("tag:x.example:vip", None),
            ("tag:x.example,soon:vip", None),
            ("tag:,2026:vip", None),
            ("tag:x.example,2026:", None),
            ("urn:x", None),
            ("vip", None),
        ] {
            assert_eq!(tag(name), expected, "{name}");
        }
    }

    #[test]
    fn files_of_the_administrators() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("vip"), text).unwrap();
        write("# people\nBoss@x.example\n\n  ada@x.example  \nada@x.example\n");
        std::fs::write(folder.path().join("long"), vec![b'\n'; FILE_BYTES as usize + 1]).unwrap();
        let lists = Lists::new(Some(folder.path().to_path_buf()), "mx.x.example");
        let list = lists.find("tag:mx.x.example,2026:vip", None).unwrap().unwrap();
        assert_eq!(list.entries, ["Boss@x.example", "ada@x.example"]);
        assert!(list.contains("BOSS@x.example") && !list.contains("# people") && !list.contains(""));
        assert!(lists.find("tag:mx.x.example,2026:long", None).is_err());
        for none in [
            "tag:mx.x.example,2026:none",
            "tag:mx.x.example,2026:../vip",
            "tag:other.example,2026:vip",
            "vip",
        ] {
            assert!(lists.find(none, None).unwrap().is_none(), "{none}");
        }
        // The user's address book is there, and empty.
        assert!(
            lists
                .find(":addrbook:default", None)
                .unwrap()
                .unwrap()
                .entries
                .is_empty()
        );
    }
}
