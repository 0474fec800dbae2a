//! What an attempt is, and what is none.

use super::*;

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
