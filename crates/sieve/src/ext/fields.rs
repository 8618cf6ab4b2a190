//! Fields that tests look at: names, which of several (`:index`, RFC 5260 §6), and of which part (`:mime`, RFC 5703 §4).

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::ext::mime_parts::PartFields;
use crate::mail::{Aspect, FieldName};
use crate::matching::Value;
use crate::run::Run;
use crate::template::Template;
use crate::tree::Argument;

/// Names of fields.
#[derive(Debug)]
pub(crate) enum Names {
    Fixed(Box<[FieldName]>),
    Rendered(Box<[Template]>),
}

impl Builder<'_> {
    pub fn names(&mut self, argument: &Argument) -> Result<Names> {
        let templates = self.texts(argument)?;
        let fixed: Option<Vec<&str>> = templates.iter().map(Template::fixed).collect();
        let Some(fixed) = fixed else {
            return Ok(Names::Rendered(templates));
        };
        let names: Box<[FieldName]> = fixed.iter().map(|name| self.field_name(name)).collect();
        if let Some(wrong) = names.iter().position(|name| !name.is_valid()) {
            let name = fixed.get(wrong).copied().unwrap_or_default();
            // RFC 5228 §2.4.2.2: no error, it only never matches.
            let warning = Error::new(
                ErrorKind::Argument,
                argument.span.position,
                format!(
                    "\"{}\" is not the name of any header field",
                    crate::lexer::shorten(name)
                ),
            );
            self.warn(warning.hint("write the name without its colon, such as \"subject\""));
        }
        Ok(Names::Fixed(names))
    }

    pub fn index(&mut self, bound: &Bound<'_>) -> Result<Option<Index>> {
        let Some(number) = bound.number_of("index") else {
            return match bound.has("last") {
                true => Err(bound
                    .error(":last needs :index")
                    .hint("write :index 1 :last for the last field")),
                false => Ok(None),
            };
        };
        if number == 0 {
            return Err(bound.error(":index counts from 1"));
        }
        Ok(Some(Index {
            number: usize::try_from(number).unwrap_or(usize::MAX),
            last: bound.has("last"),
        }))
    }

    pub fn fields(&mut self, bound: &Bound<'_>, names: &Argument) -> Result<Fields> {
        Ok(Fields {
            names: self.names(names)?,
            index: self.index(bound)?,
            part: self.part_fields(bound)?,
        })
    }
}

impl Names {
    /// Calls for each name until the answer is true.
    pub fn any(
        &self,
        run: &mut Run<'_>,
        mut each: impl FnMut(&mut Run<'_>, &FieldName) -> Result<bool>,
    ) -> Result<bool> {
        match self {
            Names::Fixed(names) => {
                for name in names {
                    if each(run, name)? {
                        return Ok(true);
                    }
                }
            }
            Names::Rendered(templates) => {
                for template in templates {
                    let name = FieldName::new(&template.render(run));
                    if each(run, &name)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

/// Which of several fields of a name: the n-th from the first or the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Index {
    number: usize,
    last: bool,
}

impl Index {
    /// Whether the field at `at` of `count`, counted from 0, is meant.
    pub fn is(self, at: usize, count: usize) -> bool {
        if self.last {
            at + self.number == count
        } else {
            at + 1 == self.number
        }
    }

    pub fn of<T>(self, mut items: impl DoubleEndedIterator<Item = T>) -> Option<T> {
        if self.last {
            items.nth_back(self.number - 1)
        } else {
            items.nth(self.number - 1)
        }
    }
}

#[derive(Debug)]
pub(crate) struct Fields {
    names: Names,
    index: Option<Index>,
    part: Option<PartFields>,
}

impl Fields {
    /// Gives the values of each name, and of each part that is meant, until the answer is true.
    pub fn any(
        &self,
        run: &mut Run<'_>,
        aspect: Aspect,
        mut each: impl FnMut(&mut Run<'_>, &[Value]) -> Result<bool>,
    ) -> Result<bool> {
        self.names.any(run, |run, name| match (&self.part, self.index) {
            (None, None) => {
                let values = run.mail.values(name, aspect);
                each(run, &values)
            }
            (None, Some(index)) => {
                let values = indexed(run.mail.header(), name, aspect, index);
                each(run, &values)
            }
            (Some(part), index) => part.any(run, name, aspect, index, &mut each),
        })
    }

    /// The names, where they are known before the script runs and all fields of them are meant.
    pub fn plain(&self) -> Option<&[FieldName]> {
        match (&self.names, self.index, &self.part) {
            (Names::Fixed(names), None, None) => Some(names),
            _ => None,
        }
    }

    /// Whether all names are there.
    pub fn all_exist(&self, run: &mut Run<'_>) -> Result<bool> {
        let missing = self.names.any(run, |run, name| {
            Ok(match &self.part {
                None => !run.mail.has(name),
                Some(part) => !part.any(run, name, Aspect::Text, None, &mut |_, values| Ok(!values.is_empty()))?,
            })
        })?;
        Ok(!missing)
    }
}

pub(crate) fn indexed(header: &crate::mail::Header<'_>, name: &FieldName, aspect: Aspect, index: Index) -> Vec<Value> {
    let mut values = Vec::new();
    if let Some(field) = index.of(header.named(name)) {
        match aspect {
            Aspect::Text => values.push(Value::new(field.text())),
            Aspect::Address(part) => crate::mail::addresses_of(field.value(), part, 1000, &mut values),
        }
    }
    values
}
