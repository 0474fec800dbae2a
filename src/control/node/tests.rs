//! What is read from tollgate.toml, and what is refused.

use super::*;

#[test]
fn cores_are_auto_or_numbers_and_ranges() {
    for (text, wanted) in [
        ("auto", Ok(Cores::Auto)),
        ("0", Ok(Cores::List(vec![0]))),
        ("3,0-2", Ok(Cores::List(vec![3, 0, 1, 2]))),
        (" 1 , 3 - 4 ", Ok(Cores::List(vec![1, 3, 4]))),
        ("1,0-2", Err("core 1 stands twice")),
        ("2-1", Err("\"2-1\" is no range of cores 0 to 4095")),
        ("4096", Err("\"4096\" is no range of cores 0 to 4095")),
        (
            "",
            Err("\"\" is no core; \"auto\" or a list like \"0,2-3\""),
        ),
        (
            "all",
            Err("\"all\" is no core; \"auto\" or a list like \"0,2-3\""),
        ),
    ] {
        assert_eq!(parse_cores(text), wanted.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn shards_are_auto_or_at_most_one_a_core() {
    for (text, wanted) in [
        ("auto", Ok(Shards::Auto)),
        ("1", Ok(Shards::Fixed(1))),
        ("64", Ok(Shards::Fixed(64))),
        ("0", Err("\"auto\" or 1 to 64")),
        ("65", Err("\"auto\" or 1 to 64")),
        ("-1", Err("\"auto\" or 1 to 64")),
    ] {
        assert_eq!(parse_shards(text), wanted.map_err(str::to_owned), "{text}");
    }
    assert_eq!(check_shards(Shards::Fixed(16), 16), Ok(()));
    assert_eq!(
        check_shards(Shards::Fixed(64), 16),
        Err("64, but this machine lets us use 16 cores".to_owned())
    );
}

#[test]
fn each_shard_has_one_core_of_its_own() {
    let list = |count| Cores::List((0..count).collect());
    for (shards, cores, right) in [
        (Shards::Auto, Cores::Auto, true),
        (Shards::Auto, list(3), true),
        (Shards::Fixed(3), list(3), true),
        (Shards::Fixed(3), Cores::Auto, true),
        (Shards::Fixed(2), list(3), false),
        (Shards::Auto, list(65), false),
    ] {
        assert_eq!(
            check_together(shards, &cores).is_ok(),
            right,
            "{shards:?} {cores:?}"
        );
    }
}

#[test]
fn a_duration_is_digits_and_a_unit_and_at_most_a_day() {
    for (text, seconds) in [
        ("0s", Some(0)),
        ("30s", Some(30)),
        ("5m", Some(300)),
        ("24h", Some(86_400)),
        ("1d", Some(86_400)),
        ("25h", None),
        ("30", None),
        ("s", None),
        ("", None),
        ("+1s", None),
        ("1.5s", None),
        ("99999999999999999999d", None),
    ] {
        assert_eq!(
            parse_duration(text),
            seconds.map(Duration::from_secs),
            "{text}"
        );
    }
}

#[test]
fn a_token_admits_itself_alone() {
    let token = AdminToken::new("0123456789abcdef").unwrap();
    assert!(token.admits(b"0123456789abcdef"));
    for other in [
        &b"0123456789abcdeF"[..],
        b"",
        b"0123456789abcdef ",
        b"0123456789abcde",
    ] {
        assert!(!token.admits(other), "{other:?}");
    }
    assert_eq!(format!("{token:?}"), "AdminToken(secret)");
    for text in [
        "",
        "short",
        "0123456789 abcdef",
        "0123456789\nabcdef",
        "üüüüüüüüüüüü",
    ] {
        assert!(AdminToken::new(text).is_err(), "{text}");
    }
}

#[test]
fn a_key_shows_in_no_log() {
    assert_eq!(format!("{:?}", NodeKey([7; 32])), "NodeKey(secret)");
}
