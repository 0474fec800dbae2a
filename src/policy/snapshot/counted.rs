//! By what a call is counted: made ready stage by stage for a whole batch, so that the cache misses of the counters overlap,
//! and then ruled by the policy's limits.
//!
//! Promises: what was foreseen changes nothing but speed.
//! Leaves to `limits`: what comes of it.

use super::rules::Ruling;
use super::{Domain, Policy, Prepared, Snapshot};
use crate::clock::Now;
use crate::counters::{KeyHasher, Part};
use crate::policy::attempt::{CallAttempt, Facts};
use crate::policy::counting::Counting;
use crate::policy::dialled::{Text, bare_user, clean, decode};
use crate::policy::limits::{
    Asked, Called, Foreseen, Limits, Listener, Parties, Whose, word_of_both,
};

/// A call, and who it turned out to be from.
pub(super) type Call<'a, F> = (&'a F, &'a Prepared, &'a Domain, &'a Policy);

impl Snapshot {
    /// After `prepare`: works out what the limits will know the attempt and its parties by.
    pub fn foresee(
        &self,
        attempt: &CallAttempt<'_>,
        prepared: &Prepared,
        hasher: &KeyHasher,
        foreseen: &mut Foreseen,
    ) {
        foreseen.clear();
        // Calls of anything but a number are few, and what they dialled would have to be decoded once more.
        if let Some(number) = prepared.number
            && let Some((domain, policy)) = self.of(prepared)
            && let Some(limits) = &policy.limits
        {
            let call = (attempt, prepared, domain, policy);
            let number = Part::of_word(number.key());
            self.foresee_parts(limits, call, number, hasher, foreseen);
        }
    }

    /// The first step of stage `touch` for the counters: asks for what `decide` will read of the attempt.
    pub fn touch_attempt<C: Counting>(&self, foreseen: &Foreseen, counts: &C) {
        if let Some(attempt) = foreseen.attempt() {
            counts.touch_attempt(attempt);
        }
    }

    /// A step of stage `touch`, after `touch_entries`: works out the keys, which may hang on the destination table, and asks for
    /// where their sums are noted.
    pub fn touch_counters<C: Counting>(
        &self,
        prepared: &Prepared,
        foreseen: &mut Foreseen,
        counts: &C,
    ) {
        if foreseen.attempt().is_some()
            && let Some((_, policy)) = self.of(prepared)
            && let Some(limits) = &policy.limits
        {
            self.foresee_keys(limits, prepared, counts.hasher(), foreseen);
            limits.touch(foreseen, counts);
        }
    }

    /// The last step of stage `touch`: asks for the sums.
    pub fn fetch_counters<C: Counting>(
        &self,
        prepared: &Prepared,
        foreseen: &mut Foreseen,
        counts: &C,
    ) {
        if foreseen.attempt().is_some()
            && let Some((_, policy)) = self.of(prepared)
            && let Some(limits) = &policy.limits
        {
            limits.fetch(foreseen, counts);
        }
    }

    fn foresee_parts(
        &self,
        limits: &Limits,
        (attempt, prepared, domain, _): Call<'_, CallAttempt<'_>>,
        number: Part,
        hasher: &KeyHasher,
        foreseen: &mut Foreseen,
    ) {
        let rules = prepared
            .subscriber
            .and_then(|row| self.subscriber_rules.get(row as usize));
        let subscriber = rules.map_or(domain.default_subscriber_word, |rules| rules.word);
        let caller = if limits.want_caller() {
            self.caller(attempt, prepared)
        } else {
            b""
        };
        let whose = Whose {
            domain: domain.word,
            subscriber: word_of_both(domain.word, subscriber),
            caller,
            address: prepared.address.unwrap_or(attempt.peer_address),
            number,
            call_id: attempt.call_id,
            from_tag: attempt.from_tag,
        };
        limits.foresee(&whose, hasher, foreseen);
    }

    fn foresee_keys(
        &self,
        limits: &Limits,
        prepared: &Prepared,
        hasher: &KeyHasher,
        foreseen: &mut Foreseen,
    ) {
        let found = prepared
            .number
            .and_then(|number| Some((number, self.destinations.row(number)?)));
        let prefix = found.map(|(number, (_, digits))| number.truncated(digits.into()));
        let country = found.map_or(0, |(_, (row, _))| self.destinations.country_word(row));
        let destination = found.map(|(_, destination)| destination);
        limits.foresee_keys(destination, (prefix, country), hasher, foreseen);
    }

    /// The caller: who the PBX says it is, else the calling number.
    fn caller<'a>(&self, attempt: &CallAttempt<'a>, prepared: &Prepared) -> &'a [u8] {
        let header_user = attempt.screening.user.filter(|_| prepared.trusted);
        let calling = || bare_user(self.calling_number(prepared.domain.unwrap_or(0), attempt));
        header_user.unwrap_or_else(calling)
    }

    /// The call as its policy's limits see it, with what was foreseen, or what can be seen now.
    pub(super) fn with_asked<F: Facts, C: Counting, T>(
        &self,
        limits: &Limits,
        call: Call<'_, F>,
        foreseen: &Foreseen,
        counts: &C,
        give: impl FnOnce(&Asked<'_>) -> T,
    ) -> T {
        let (attempt, prepared, _, policy) = call;
        let seen_now;
        let foreseen = if foreseen.destination().is_some() {
            foreseen
        } else {
            seen_now = self.see_now(limits, call, counts.hasher());
            &seen_now
        };
        let destination = foreseen.destination().flatten();
        let reported_calls = attempt.reported_calls();
        give(&Asked {
            foreseen,
            reported_calls: reported_calls.filter(|_| prepared.trusted),
            exposure_micros: if limits.wants_exposure {
                self.exposure_of(policy, prepared.number).unwrap_or(0)
            } else {
                0
            },
            tell: &|tell| self.tell_parties(call, destination, tell),
        })
    }

    #[cold]
    fn see_now<F: Facts>(
        &self,
        limits: &Limits,
        (facts, prepared, domain, policy): Call<'_, F>,
        hasher: &KeyHasher,
    ) -> Foreseen {
        let attempt = &facts.attempt();
        let call = (attempt, prepared, domain, policy);
        let mut foreseen = Foreseen::NOTHING;
        let number = match prepared.number {
            Some(number) => Part::of_word(number.key()),
            None => with_dialled(attempt, |dialled| hasher.part(dialled)),
        };
        self.foresee_parts(limits, call, number, hasher, &mut foreseen);
        self.foresee_keys(limits, prepared, hasher, &mut foreseen);
        foreseen
    }

    /// Whom a call is about. `destination`: its row, and how many digits of the number are the row's prefix.
    #[cold]
    fn tell_parties<F: Facts>(
        &self,
        (facts, prepared, domain, _): Call<'_, F>,
        destination: Option<(u32, u8)>,
        tell: Listener<'_>,
    ) {
        let attempt = &facts.attempt();
        let (row, digits) = destination.unzip();
        let prefix = prepared.number.zip(digits);
        let class = row.and_then(|row| self.destinations.class(row));
        let mut of_number = |number: Called<'_>| {
            tell(&Parties {
                caller: self.caller(attempt, prepared),
                address: prepared.address.unwrap_or(attempt.peer_address),
                number,
                prefix: prefix.map(|(number, digits)| number.truncated(digits.into())),
                domain: &domain.name,
                subscriber: match prepared.subscriber {
                    Some(row) => self.subscriber_names.get(row).unwrap_or(""),
                    None => &domain.default_subscriber,
                },
                country: class.map_or("", |class| &class.country),
            });
        };
        match prepared.number {
            Some(number) => of_number(Called::Number(number)),
            None => with_dialled(attempt, |dialled| of_number(Called::Other(dialled))),
        }
    }

    /// Holds and limits, after all other rules.
    pub(super) fn rule_by_limits<F: Facts, C: Counting>(
        &self,
        limits: &Limits,
        call: Call<'_, F>,
        foreseen: &Foreseen,
        ruling: &mut Ruling,
        (counts, now): (&C, Now),
    ) {
        let by_limits = self.with_asked(limits, call, foreseen, counts, |asked| {
            limits.rule(asked, counts, now)
        });
        ruling.stop = by_limits.stop;
        ruling.reports = ruling.reports.union(by_limits.reports);
        ruling.limits = by_limits.facts;
    }
}

/// What was dialled, decoded and without separators.
fn with_dialled<T>(attempt: &CallAttempt<'_>, give: impl FnOnce(&[u8]) -> T) -> T {
    let decoded = decode(bare_user(attempt.user_part));
    let cleaned = decoded.as_ref().map(|decoded| clean(decoded.as_bytes()));
    give(cleaned.as_ref().map_or(&[], Text::as_bytes))
}
