//! spamtest, spamtestplus and virustest (RFC 5235).

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::matching::Matcher;
use crate::program::Check;
use crate::run::Run;
use crate::spec::{Kind, MATCH, TestSpec, flag, positional, test};

pub(crate) const TESTS: &[TestSpec] = &[
    test(
        "spamtest",
        "spamtest",
        &[MATCH, &[flag("percent", "spamtestplus", "")]],
        &[positional("value", Kind::Text)],
        spamtest,
    ),
    test(
        "virustest",
        "virustest",
        &[MATCH],
        &[positional("value", Kind::Text)],
        virustest,
    ),
];

#[derive(Debug, Clone, Copy)]
enum Scale {
    /// 0 untested, 1 to 10.
    Ten,
    /// 0 to 100.
    Percent,
    /// 0 untested, 1 to 5.
    Virus,
}

#[derive(Debug)]
struct Scored {
    scale: Scale,
    matcher: Matcher,
}

impl Check for Scored {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let share = run.world.spam_score().map(|score| score.share.clamp(0.0, 1.0));
        let (value, tested) = match (self.scale, share) {
            (Scale::Ten, Some(share)) => (1 + (share * 9.0).round() as u32, true),
            (Scale::Percent, Some(share)) => ((share * 100.0).round() as u32, true),
            (Scale::Ten | Scale::Percent, None) => (0, false),
            (Scale::Virus, _) => {
                let virus = run.world.virus_score();
                (virus.map_or(0, |score| u32::from(score.clamp(1, 5))), virus.is_some())
            }
        };
        if self.matcher.is_count() {
            return self.matcher.count(run, usize::from(tested));
        }
        self.matcher.one(run, &value.to_string())
    }
}

fn spamtest(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let scale = if bound.has("percent") {
        Scale::Percent
    } else {
        Scale::Ten
    };
    Ok(Box::new(Scored {
        scale,
        matcher: builder.matcher(bound, bound.argument(0)?)?,
    }))
}

fn virustest(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(Scored {
        scale: Scale::Virus,
        matcher: builder.matcher(bound, bound.argument(0)?)?,
    }))
}
