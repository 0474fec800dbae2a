//! What an attempt is, and what is none.

use super::*;
use crate::counters::{self, Attempt, Counted, Held, Key, KeyHasher, NewHold, Reserved, Told};
use crate::limits::ATTEMPT_LOOKS;

#[test]
fn transactions_of_one_attempt_count_once_and_are_told_the_same() {
    let node = Node::with(vec![max(1, limit(Code::R13))]);
    let fork = Caller {
        call_id: Some("forked"),
        ..CALL
    };
    assert_eq!(node.codes(4, fork), "A00*4");
    assert_eq!(node.codes(1, CALL), "R13*1");
    // A fifth transaction is an attempt of its own; so is one after 32 seconds.
    assert_eq!(node.codes(1, fork), "R13*1");
    let node = Node::with(vec![max(1, limit(Code::R13))]);
    assert_eq!(node.codes(2, fork), "A00*2");
    node.wait(32);
    assert_eq!(node.codes(1, fork), "R13*1");
    // What was rejected stays so for its other transactions, of the same number only.
    assert!(node.decide(fork).limits.same_attempt);
    assert_eq!(node.code(fork), "R13");
    let other = node.decide(Caller {
        to: "+442071838751",
        ..fork
    });
    assert!(!other.limits.same_attempt);
}

#[test]
fn emergency_calls_and_errors_never_reach_the_limits_and_allowed_numbers_do() {
    let mut rows = rows();
    rows.policies[0].limits = vec![max(1, limit(Code::R13))];
    rows.lists = vec![listed(
        Scope::System,
        Pattern::Number(number("5371234567")),
        None,
    )];
    let node = Node::new(&rows);
    assert_eq!(node.codes(5, Caller { to: "112", ..CALL }), "A00*5");
    let long = format!("+44{}2071838750", "-".repeat(80));
    assert!(matches!(
        node.decide(Caller { to: &long, ..CALL }).verdict,
        Verdict::Error(_)
    ));
    assert_eq!(
        node.codes(
            2,
            Caller {
                to: "+5371234567",
                ..CALL
            }
        ),
        "A00*1 R13*1"
    );
    assert_eq!(node.codes(2, Caller { to: "112", ..CALL }), "A00*2");
}

/// Counters as one shard sees them, to whom something happens just before one of its steps.
struct Meanwhile<'a> {
    counts: &'a Exact,
    steps: Cell<usize>,
    at: usize,
    happens: &'a dyn Fn(),
    /// What it has come to and does not say, being stopped before.
    unsaid: Option<&'a Cell<Option<(Key, Told)>>>,
}

impl<'a> Meanwhile<'a> {
    fn before(at: usize, counts: &'a Exact, happens: &'a dyn Fn()) -> Self {
        Self {
            counts,
            steps: Cell::new(0),
            at,
            happens,
            unsaid: None,
        }
    }

    fn step(&self) -> &Exact {
        let step = self.steps.replace(self.steps.get() + 1);
        if step == self.at {
            (self.happens)();
        }
        self.counts
    }
}

impl Counting for Meanwhile<'_> {
    fn hasher(&self) -> &KeyHasher {
        self.counts.hasher()
    }

    fn touch(&self, _key: &Key) {}

    fn touch_hold(&self, _key: &Key) {}

    fn fetch(&self, _key: &Key, _owner: counters::Owner) -> counters::Seen {
        counters::Seen::Unseen
    }

    fn add(&self, count: &counters::Count, now: Now) -> Counted {
        self.step().add(count, now)
    }

    fn peek(&self, count: &counters::Count, now: Now) -> Counted {
        self.step().peek(count, now)
    }

    fn release(&self, reserved: &Reserved, now: Now) {
        self.step().release(reserved, now);
    }

    fn held(&self, key: &Key, now: Now) -> Option<Held> {
        self.step().held(key, now)
    }

    fn hold(&self, key: &Key, hold: &NewHold<'_>, now: Now) -> bool {
        self.step().hold(key, hold, now)
    }

    fn touch_attempt(&self, _key: &Key) {}

    fn attempt(&self, key: &Key, now: Now) -> Attempt {
        self.step().attempt(key, now)
    }

    fn told(&self, key: &Key, now: Now) -> Option<Told> {
        self.step().told(key, now)
    }

    fn settle(&self, key: &Key, told: Told, now: Now) -> Told {
        if let Some(unsaid) = self.unsaid {
            unsaid.set(Some((*key, told)));
            return told;
        }
        self.step().settle(key, told, now)
    }
}

/// A transaction of the one attempt that these tests are about.
fn transaction<C: Counting>(node: &Node, counts: &C) -> Code {
    let call = CallAttempt {
        call_id: b"forked",
        screening: screening(),
        ..attempt(&node.snapshot, CALL.to)
    };
    let prepared = node.snapshot.prepare(&call);
    let decision = node.snapshot.decide(&call, &prepared, counts, node.now());
    decision.code
}

/// What a node with these limits, after so many calls, makes of two transactions at once, the second of which comes to
/// another shard before each step of the first in turn and is done before that goes on; and what the calls after them get.
fn at_every_step(limits: &[LimitRow], before: usize, after: usize) -> Vec<(Code, String)> {
    let at_step = |at: usize| {
        let node = Node::with(limits.to_vec());
        let _approved = node.codes(before, CALL);
        let other = Cell::new(None);
        let happens = || other.set(Some(transaction(&node, &node.counts)));
        let first = transaction(&node, &Meanwhile::before(at, &node.counts, &happens));
        assert_eq!(first, other.get()?, "step {at}: one attempt, two verdicts");
        Some((first, node.codes(after, CALL)))
    };
    (0..).map_while(at_step).collect()
}

#[test]
fn two_transactions_of_an_attempt_at_once_are_told_the_same_and_leave_no_reservation() {
    let approved = LimitRow {
        count: Count::Approved,
        ..limit(Code::R11)
    };
    let limits = [max(3, approved), max(9, limit(Code::R13))];
    // Well below the maximum it passes and counts once, whatever the step.
    let outcomes = at_every_step(&limits, 0, 3);
    assert!(outcomes.len() >= 4, "{} steps", outcomes.len());
    for outcome in outcomes {
        assert_eq!(outcome, (Code::A00, "A00*2 R11*1".to_owned()));
    }
    // The last one that may pass: it does; or, if the first shard stands still between counting and saying so, neither
    // transaction does, and the room is another call's.
    let outcomes = at_every_step(&limits, 2, 2);
    assert!(outcomes.iter().any(|(code, _)| *code == Code::A00));
    for (code, after) in outcomes {
        let want = if code == Code::A00 {
            "R11*2"
        } else {
            "A00*1 R11*1"
        };
        assert_eq!(after, want);
    }
    // One too many never does.
    for outcome in at_every_step(&limits, 3, 1) {
        assert_eq!(outcome, (Code::R11, "R11*1".to_owned()));
    }
}

#[test]
fn a_transaction_that_reads_its_own_attempts_amount_takes_over_what_the_other_shard_says_meanwhile()
{
    let at_step = |at: usize| {
        let node = Node::with(vec![max(1, limit(Code::R13))]);
        let unsaid = Cell::new(None);
        let counting = Meanwhile {
            unsaid: Some(&unsaid),
            ..Meanwhile::before(usize::MAX, &node.counts, &|| {})
        };
        // The only call that may pass is counted, and nobody has been told yet.
        assert_eq!(transaction(&node, &counting), Code::A00);
        let (key, told) = unsaid.get().unwrap();
        let says = || assert_eq!(node.counts.settle(&key, told, node.now()), told);
        let meanwhile = Meanwhile::before(at, &node.counts, &says);
        let code = transaction(&node, &meanwhile);
        (meanwhile.steps.get() > at).then_some(code)
    };
    let codes: Vec<Code> = (0..).map_while(at_step).collect();
    // Asking for the attempt, reading the sum, looking again and again, settling.
    assert_eq!(codes, vec![Code::A00; 2 + ATTEMPT_LOOKS + 1]);
}
