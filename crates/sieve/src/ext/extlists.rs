//! extlists (RFC 6134): the test `valid_ext_list`. The match type `:list` is with the others, `redirect :list` with its action.

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::program::Check;
use crate::run::Run;
use crate::spec::{Kind, TestSpec, positional, test};
use crate::template::Template;

pub(crate) const TESTS: &[TestSpec] = &[test(
    "valid_ext_list",
    "extlists",
    &[],
    &[positional("list names", Kind::Texts)],
    valid_ext_list,
)];

#[derive(Debug)]
struct ValidLists(Box<[Template]>);

impl Check for ValidLists {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        Ok(self.0.iter().all(|list| run.world.list_exists(&list.render(run))))
    }
}

fn valid_ext_list(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(ValidLists(builder.texts(bound.argument(0)?)?)))
}
