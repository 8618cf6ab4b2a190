//! All steps together leave what `migrations/schema.sql` says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use db::{Database, Migration, Options, Schema};
use directory::SCHEMA;

#[test]
fn steps_add_up_to_the_schema() {
    let dir = tempfile::tempdir().unwrap();
    let whole = Schema {
        component: SCHEMA.component,
        steps: &[Migration {
            name: "whole",
            sql: include_str!("../migrations/schema.sql"),
        }],
    };
    let describe = |name: &str, schema| {
        Database::open(&dir.path().join(name), &[schema], Options::default())
            .unwrap()
            .describe_schema()
            .unwrap()
    };
    assert_eq!(describe("steps.db", SCHEMA), describe("whole.db", whole));
}
