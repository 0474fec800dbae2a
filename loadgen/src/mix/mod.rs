//! Mixes: which calls are made, in which shares, and what must come back for each.
//!
//! Promises: a call follows from the mix, its seed and its number alone; where the mix has limits, its verdict from the calls before it, too. Parts take turns in exact shares, in an order
//! that the seed shuffles. Allocates nothing per call.
//! Leaves to `read`: the file; to `part`: what a call of a part is; to `command`: `tollgate-loadgen mix`.

pub mod bundle;
pub mod command;
pub mod document;
pub mod model;
pub mod numbers;
pub mod part;
pub mod policy;
pub mod read;
pub mod select;
pub mod shape;
pub mod shipped;
pub mod terms;
pub mod weighted;

use std::sync::Arc;

use crate::call::Call;
use crate::clock::Nanos;
use crate::limits::{LIMITED_CALLS_MAX, MIX_PARTS_MAX, MIX_TURNS_MAX};
use crate::random::SplitMix64;
use crate::verdict::Expected;
use model::{Limit, Model, Ruling};
use part::Part;
use read::LIMITS_MAX;
use shape::Shape;
use terms::Terms;

/// A mix as its file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name: the file's without ending, or that of a shipped one.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Its own pace.
    pub shape: Shape,
    /// Its parts, at least one.
    pub parts: Vec<Part>,
    /// Rows that the server's lists must hold for the verdicts to be right: `number,39347*,deny,R03`.
    pub lists: Vec<String>,
    /// Limits that the server's policy must have for the verdicts to be right.
    pub limits: Vec<Limit>,
    /// What those limits go by.
    pub terms: Terms,
}

/// When the calls of a mix are made, so far as its parts depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// At this many calls per 1,000 seconds.
    Rate(u64),
    /// At the mix's own pace.
    Own,
}

/// A mix that is ready to make calls.
#[derive(Debug, Clone)]
pub struct Mix(Arc<Ready>);

#[derive(Debug)]
struct Ready {
    label: String,
    seed: u64,
    own_times: bool,
    shape: Shape,
    parts: Vec<Part>,
    phases: Vec<Phase>,
    limits: Vec<Limit>,
    terms: Terms,
    /// What the limits say of each call, if there are any.
    rulings: Vec<Ruling>,
}

/// A stretch of calls in which the same parts are active.
#[derive(Debug)]
struct Phase {
    /// Number of the first call.
    first: u64,
    /// Whose turn it is: the part, and how many turns it has had in this round.
    turns: Box<[(u16, u16)]>,
    /// Per part of the mix, its turns a round.
    of_round: Box<[u64]>,
    /// Per part of the mix, its calls before this phase.
    before: Box<[u64]>,
}

impl Definition {
    /// One mix of several, each with its share of the calls and the time at which it joins in.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn combined(several: Vec<(Self, u64, Nanos)>) -> Result<Self, String> {
        let mut several = several.into_iter();
        let Some((mut all, weight, start)) = several.next() else {
            return Err("no mix".to_owned());
        };
        let alone = several.len() == 0;
        if !alone || start > 0 {
            weigh(&mut all, weight, start);
        }
        for (mut more, weight, start) in several {
            weigh(&mut more, weight, start);
            all.name = format!("{} + {}", all.name, more.name);
            all.about = format!("{} {}", all.about, more.about);
            all.shape = all.shape.with(&more.shape);
            all.parts.append(&mut more.parts);
            for row in more.lists {
                if !all.lists.contains(&row) {
                    all.lists.push(row);
                }
            }
            all.terms.join(more.terms)?;
            for limit in more.limits {
                match all.limits.iter().find(|known| known.name == limit.name) {
                    None => all.limits.push(limit),
                    Some(known) if *known == limit => {}
                    Some(_) => {
                        return Err(format!(
                            "two of the mixes have a limit `{}`, and not the same one",
                            limit.name
                        ));
                    }
                }
            }
        }
        if all.parts.len() > MIX_PARTS_MAX {
            return Err(format!(
                "more than {MIX_PARTS_MAX} parts in all mixes together"
            ));
        }
        if all.limits.len() > LIMITS_MAX {
            return Err(format!(
                "more than {LIMITS_MAX} limits in all mixes together"
            ));
        }
        Ok(all)
    }
}

/// Gives the parts of a mix a share of `weight` among them, whatever their weights add up to, and moves them by `start`.
fn weigh(mix: &mut Definition, weight: u64, start: Nanos) {
    let sum: u64 = mix.parts.iter().map(|part| part.weight).sum();
    for part in &mut mix.parts {
        // Millionths, so that the shares within the mix survive.
        part.weight = (part.weight * 1_000_000 / sum.max(1)).max(1) * weight;
        part.start = part.start.saturating_add(start);
        part.end = part.end.saturating_add(start);
    }
}

impl Mix {
    /// The mix that is used when none is named.
    #[must_use]
    pub fn standard(seed: u64) -> Self {
        let made = shipped::find(shipped::STANDARD)
            .ok_or_else(String::new)
            .and_then(|definition| Self::new(definition, seed, Times::Rate(1_000_000)));
        // A test reads every shipped mix.
        made.unwrap_or_else(|_| Self::empty(seed))
    }

    /// Makes a mix ready.
    ///
    /// # Errors
    /// A sentence for the operator: at some time no part is active.
    pub fn new(definition: Definition, seed: u64, times: Times) -> Result<Self, String> {
        let Definition {
            name,
            shape,
            parts,
            limits,
            terms,
            ..
        } = definition;
        let mut boundaries: Vec<Nanos> = parts
            .iter()
            .flat_map(|part| [part.start, part.end])
            .filter(|&time| time != Nanos::MAX)
            .chain([0])
            .collect();
        boundaries.sort_unstable();
        boundaries.dedup();
        let mut phases: Vec<Phase> = Vec::new();
        let mut before = vec![0_u64; parts.len()];
        for (place, &from) in (0_u64..).zip(&boundaries) {
            let active = |part: &Part| part.start <= from && from < part.end;
            if !parts.iter().any(active) {
                return Err(format!(
                    "{name}: no part is active from {} s on",
                    from / 1_000_000_000
                ));
            }
            let first = match times {
                Times::Rate(milli) => {
                    let exact = (u128::from(from) * u128::from(milli)).div_ceil(1_000_000_000_000);
                    u64::try_from(exact).unwrap_or(u64::MAX)
                }
                Times::Own => shape.number_at(from),
            };
            if let Some(last) = phases.last_mut() {
                last.add_calls(first - last.first, &mut before);
                if last.first == first {
                    phases.pop();
                }
            }
            phases.push(Phase::new(
                first,
                &parts,
                active,
                &before,
                &mut SplitMix64::of(seed, !place),
            ));
        }
        Ok(Self(Arc::new(Ready {
            label: format!("{name} (synthetic)"),
            seed,
            own_times: times == Times::Own,
            shape,
            parts,
            phases,
            limits,
            terms,
            rulings: Vec::new(),
        })))
    }

    /// Judges the first `calls` calls by the limits of the mix: their verdicts hang on what came before them, and where limits
    /// go by hours or days on `begins`, what the clock on the wall says at time 0, in nanoseconds since 1970.
    ///
    /// # Errors
    /// A sentence for the operator: too many calls to keep a ruling for each, or a number whose destination is not said.
    pub fn judged(self, calls: u64, times: Times, begins: Nanos) -> Result<Self, String> {
        if self.0.limits.is_empty() {
            return Ok(self);
        }
        if calls > LIMITED_CALLS_MAX {
            return Err(format!(
                "{calls} calls of a mix with limits are more than {LIMITED_CALLS_MAX}, whose verdicts can be known in advance"
            ));
        }
        let mut rulings = Vec::new();
        let mut model = Model::new(&self.0.limits, &self.0.terms, begins);
        let mut call = Call::default();
        for number in 0..calls {
            self.fill(number, &mut call);
            rulings.push(model.rule(&call, self.nominal(number, times))?);
        }
        let mut ready = Arc::try_unwrap(self.0).map_err(|_| "the mix is in use".to_owned())?;
        ready.rulings = rulings;
        Ok(Self(Arc::new(ready)))
    }

    /// When a call is due as far as the mix knows.
    fn nominal(&self, number: u64, times: Times) -> Nanos {
        match times {
            Times::Own => self.due(number).unwrap_or(0),
            Times::Rate(milli) => {
                let exact = u128::from(number) * 1_000_000_000_000 / u128::from(milli.max(1));
                u64::try_from(exact).unwrap_or(Nanos::MAX)
            }
        }
    }

    /// The limits, in the order of the file.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.0.limits
    }

    fn empty(seed: u64) -> Self {
        Self(Arc::new(Ready {
            label: String::new(),
            seed,
            own_times: false,
            shape: Shape::even(1000),
            parts: Vec::new(),
            phases: Vec::new(),
            limits: Vec::new(),
            terms: Terms::default(),
            rulings: Vec::new(),
        }))
    }

    /// Fills in the call with this number.
    pub fn fill(&self, number: u64, call: &mut Call) {
        let Some((place, index)) = self.turn(number) else {
            call.clear();
            return;
        };
        if let Some(part) = self.0.parts.get(place) {
            let place = u64::try_from(place).unwrap_or(0);
            part.fill(self.0.seed, place, index, call);
        }
        let ruling = usize::try_from(number)
            .ok()
            .and_then(|at| self.0.rulings.get(at));
        match ruling {
            None | Some(Ruling::Pass) => {}
            Some(Ruling::Either) => {
                call.expected = Expected::ApproveOrReject;
                call.code.clear();
            }
            Some(Ruling::Reject(by)) => {
                call.expected = Expected::Reject;
                let limit = by.and_then(|place| self.0.limits.get(usize::from(place)));
                call.code = limit.map(|limit| limit.code).unwrap_or_default();
            }
        }
    }

    /// The name of the part that the call with this number belongs to.
    #[must_use]
    pub fn part_of(&self, number: u64) -> &str {
        self.turn(number)
            .and_then(|(place, _)| self.0.parts.get(place))
            .map_or("", |part| &part.name)
    }

    /// When the call with this number is due by the mix's own pace, from the start; `None` if it is made for a rate.
    #[must_use]
    pub fn due(&self, number: u64) -> Option<Nanos> {
        self.0.own_times.then(|| {
            let within = SplitMix64::of(!self.0.seed, number).below(u32::MAX);
            self.0.shape.time_of(number, within)
        })
    }

    /// Whether [`Self::due`] says when calls are made.
    #[must_use]
    pub fn has_own_times(&self) -> bool {
        self.0.own_times
    }

    /// What the report calls this mix.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// The part whose turn it is, and how many calls it has made before.
    fn turn(&self, number: u64) -> Option<(usize, u64)> {
        let phases = &self.0.phases;
        let phase = match phases.as_slice() {
            [only] => only,
            several => {
                let after = several.partition_point(|phase| phase.first <= number);
                several.get(after.checked_sub(1)?)?
            }
        };
        let since = number - phase.first;
        let count = u64::try_from(phase.turns.len()).ok()?;
        let round = since.checked_div(count)?;
        let (place, turn) = *phase.turns.get(usize::try_from(since % count).ok()?)?;
        let place = usize::from(place);
        let index = phase.before.get(place)? + round * phase.of_round.get(place)? + u64::from(turn);
        Some((place, index))
    }
}

impl Phase {
    fn new(
        first: u64,
        parts: &[Part],
        active: impl Fn(&Part) -> bool,
        before: &[u64],
        random: &mut SplitMix64,
    ) -> Self {
        let weights: Vec<u64> = parts
            .iter()
            .map(|part| if active(part) { part.weight } else { 0 })
            .collect();
        let common = weights
            .iter()
            .copied()
            .fold(0, greatest_common_divisor)
            .max(1);
        let sum: u64 = weights.iter().map(|weight| weight / common).sum();
        let of_round: Box<[u64]> = weights
            .iter()
            .map(|weight| match weight / common {
                0 => 0,
                share if sum <= MIX_TURNS_MAX => share,
                share => {
                    let part = u128::from(share) * u128::from(MIX_TURNS_MAX) / u128::from(sum);
                    u64::try_from(part).unwrap_or(0).max(1)
                }
            })
            .collect();
        let mut order: Vec<u16> = Vec::new();
        for (place, &turns) in (0_u16..).zip(&of_round) {
            order.extend((0..turns).map(|_| place));
        }
        shuffle(&mut order, random);
        let mut had = vec![0_u16; parts.len()];
        let turns = order
            .into_iter()
            .map(|place| {
                let turn = had.get_mut(usize::from(place)).map_or(0, |had| {
                    *had += 1;
                    *had - 1
                });
                (place, turn)
            })
            .collect();
        Self {
            first,
            turns,
            of_round,
            before: before.into(),
        }
    }

    /// Adds the calls that each part makes in the first `calls` of this phase.
    fn add_calls(&self, calls: u64, before: &mut [u64]) {
        let count = u64::try_from(self.turns.len()).unwrap_or(1).max(1);
        for (sum, of_round) in before.iter_mut().zip(&self.of_round) {
            *sum += calls / count * of_round;
        }
        let rest = usize::try_from(calls % count).unwrap_or(0);
        for &(place, _) in self.turns.iter().take(rest) {
            if let Some(sum) = before.get_mut(usize::from(place)) {
                *sum += 1;
            }
        }
    }
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    let (mut one, mut other) = (one, other);
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Fisher and Yates, from the end.
fn shuffle<T>(items: &mut [T], random: &mut SplitMix64) {
    for last in (1..items.len()).rev() {
        let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
        items.swap(last, usize::try_from(random.below(bound)).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests;
