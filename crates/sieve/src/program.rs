//! What a script is compiled to.

use std::fmt;
use std::sync::Arc;

use crate::build::Builder;
use crate::error::{Error, Position, Result};
use crate::glance::{Glance, Source};
use crate::run::Run;

/// A script that was found in order and can be run, any number of times, by any number of threads.
#[derive(Debug)]
pub struct Compiled {
    pub(crate) body: Box<[Node]>,
    /// Names of the script's own variables.
    pub(crate) variables: Box<[Box<str>]>,
    pub(crate) sites: Arc<[Site]>,
    /// What its tests look at.
    pub(crate) sources: Box<[Source]>,
    pub(crate) required: Vec<String>,
    pub(crate) warnings: Vec<Error>,
}

impl Compiled {
    /// What is allowed and yet not likely meant.
    pub fn warnings(&self) -> &[Error] {
        &self.warnings
    }

    /// The extensions it requires, in the order of their names.
    pub fn required(&self) -> &[String] {
        &self.required
    }
}

/// A place in the script, and what is written there.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub position: Position,
    pub text: Box<str>,
}

/// Index of a [`Site`].
pub(crate) type SiteId = u32;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Stop,
    Return,
    /// Out of the loop of that name, or the innermost.
    Break(Option<Arc<str>>),
}

/// A command made ready to run.
pub(crate) trait Step: fmt::Debug + Send + Sync {
    fn run(&self, run: &mut Run<'_>) -> Result<Flow>;
}

/// A test made ready to run.
pub(crate) trait Check: fmt::Debug + Send + Sync {
    fn check(&self, run: &mut Run<'_>) -> Result<bool>;

    /// What shows that it fails without making it.
    fn glance(&self, _builder: &mut Builder<'_>) -> Option<Glance> {
        None
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub site: SiteId,
    pub step: Box<dyn Step>,
}

#[derive(Debug)]
pub(crate) struct TestNode {
    pub site: SiteId,
    pub kind: TestKind,
}

#[derive(Debug)]
pub(crate) enum TestKind {
    True,
    False,
    Not(Box<TestNode>),
    All(Box<[TestNode]>),
    Any(Box<[TestNode]>),
    Leaf(Option<Glance>, Box<dyn Check>),
}
