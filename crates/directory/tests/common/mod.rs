use db::{AccountId, Database};
use directory::{Directory, HashParameters, NewAccount, Options, SCHEMA};
use std::sync::Arc;

/// Hashes that cost next to nothing, where the test is not about them.
pub fn cheap() -> Options {
    Options {
        hash: HashParameters {
            memory_kib: 8,
            passes: 1,
            ..HashParameters::default()
        },
        ..Options::default()
    }
}

pub fn database(dir: &tempfile::TempDir) -> Arc<Database> {
    Arc::new(Database::open(&dir.path().join("server.db"), &[SCHEMA], db::Options::default()).unwrap())
}

pub fn open(options: Options) -> (tempfile::TempDir, Directory) {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::open_with(database(&dir), options).unwrap();
    directory.domain_add("phys.example").unwrap();
    (dir, directory)
}

pub fn add(directory: &Directory, address: &str, password: &str) -> AccountId {
    let new = NewAccount {
        address,
        password: Some(password.as_bytes()),
        ..NewAccount::default()
    };
    directory.account_add(&new).unwrap()
}
