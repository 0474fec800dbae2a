//! Messages held against what they are to be.

use super::*;
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::mix::Mix;
use crate::source::Calls;

fn mix() -> Calls {
    Calls::Mix(Mix::standard(1))
}

fn messages(run: u32) -> Messages {
    Messages::new(
        "127.0.0.1:5070".parse().unwrap(),
        "127.0.0.1:5060".parse().unwrap(),
        run,
        Shape::Udp,
    )
}

fn invite(run: u32, sequence: u64) -> String {
    let mut out = [0; DATAGRAM_BYTES_MAX];
    let length = messages(run)
        .invite(&mix().call(sequence), sequence, &mut out)
        .unwrap();
    String::from_utf8(out[..length].to_vec()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_calls_but_for_branch_call_id_and_tag() {
    for sequence in 0..200 {
        let one = invite(0x1234_5678, sequence);
        let other = invite(0x9abc_def0, sequence);
        assert_ne!(one, other);
        assert_eq!(one, other.replace("9abcdef0", "12345678"));
        let differ: Vec<&str> = one
            .lines()
            .zip(other.lines())
            .filter(|(a, b)| a != b)
            .map(|(a, _)| a.split_once(':').map_or("", |(name, _)| name))
            .collect();
        assert_eq!(differ, ["Via", "From", "Call-ID"]);
    }
}

#[test]
fn an_invite_has_the_size_of_a_real_one() {
    for sequence in 0..1000 {
        let length = invite(1, sequence).len();
        assert!((900..=1050).contains(&length), "{length}");
    }
}

#[test]
fn content_length_is_the_length_of_the_body() {
    for local in ["127.0.0.1:5070", "[::1]:40000"] {
        let messages = Messages::new(
            local.parse().unwrap(),
            "[::1]:5060".parse().unwrap(),
            1,
            Shape::Udp,
        );
        let mut out = [0; DATAGRAM_BYTES_MAX];
        let length = messages.invite(&mix().call(0), 0, &mut out).unwrap();
        let text = str::from_utf8(&out[..length]).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let stated = format!("Content-Length: {}", body.len());
        assert!(head.ends_with(&stated), "{head}");
        assert!((200..=300).contains(&body.len()), "{}", body.len());
    }
}

#[test]
fn a_branch_of_another_run_is_not_ours() {
    let ours = messages(0x00c0_ffee);
    for (branch, sequence) in [
        ("z9hG4bK00c0ffee00000000ff", Some(255)),
        ("z9hG4bK00c0ffeeffffffffff", Some((1 << 40) - 1)),
        ("z9hG4bK00c0ffef00000000ff", None),
        ("z9hG4bK00c0ffee00000000fg", None),
        ("z9hG4bK00c0ffee+0000000ff", None),
        ("z9hG4bK00c0ffee00000000FF", None),
        ("z9hG4bK00c0ffee0000000ff", None),
        ("00c0ffee00000000ff", None),
        ("", None),
    ] {
        let found = ours.name_of(branch.as_bytes());
        assert_eq!(found.map(|name| name.sequence), sequence, "{branch}");
    }
}

#[test]
fn call_id_and_from_tag_must_be_those_of_the_branch() {
    let ours = messages(0xab);
    let branch = b"z9hG4bK000000ab0000000001";
    for (from_tag, call_id, agree) in [
        (
            "as000000ab0000000001",
            "000000ab0000000001@127.0.0.1:5070",
            true,
        ),
        (
            "as000000ab0000000002",
            "000000ab0000000001@127.0.0.1:5070",
            false,
        ),
        (
            "as000000ab0000000001",
            "000000ab0000000002@127.0.0.1:5070",
            false,
        ),
        (
            "as000000ab0000000001",
            "000000ab0000000001@127.0.0.1:5071",
            false,
        ),
        ("", "", false),
    ] {
        let echo = Echo {
            branch,
            from_tag: from_tag.as_bytes(),
            call_id: call_id.as_bytes(),
        };
        assert_eq!(ours.agree(&echo), agree, "{from_tag} {call_id}");
    }
    assert_eq!(ours.call_id(1), "000000ab0000000001@127.0.0.1:5070");
}

#[test]
fn probes_and_second_attempts_have_branches_of_their_own() {
    let ours = messages(0xab);
    let call = mix().call(5);
    let mut out = [0; DATAGRAM_BYTES_MAX];
    let length = ours.options(7, &mut out).unwrap();
    let text = String::from_utf8(out[..length].to_vec()).unwrap();
    assert!(text.starts_with("OPTIONS sip:127.0.0.1:5060 SIP/2.0\r\n"));
    assert!(text.contains("branch=z9hG4bK000000abp0000000007\r\n"));
    assert_eq!(ours.probe_of(b"z9hG4bK000000abp0000000007"), Some(7));
    assert_eq!(ours.name_of(b"z9hG4bK000000abp0000000007"), None);
    assert_eq!(ours.probe_of(b"z9hG4bK000000ab0000000007"), None);

    let line = b"Authorization: Digest x\r\n";
    let length = ours.authorized_invite(&call, 5, line, &mut out).unwrap();
    let text = String::from_utf8(out[..length].to_vec()).unwrap();
    assert!(text.contains("branch=z9hG4bK000000ab0000000005a\r\n"));
    assert!(text.contains("\r\nCSeq: 103 INVITE\r\n"));
    assert!(text.contains("\r\nAuthorization: Digest x\r\nAllow: "));
    assert!(text.contains("\r\nCall-ID: 000000ab0000000005@"));
    let name = ours.name_of(b"z9hG4bK000000ab0000000005a").unwrap();
    assert_eq!((name.sequence, name.attempt.cseq()), (5, 103));
    assert!(ours.agree(&Echo {
        branch: b"z9hG4bK000000ab0000000005a",
        from_tag: b"as000000ab0000000005",
        call_id: b"000000ab0000000005@127.0.0.1:5070",
    }));
}

#[test]
fn each_family_tells_of_the_caller_in_its_own_headers() {
    for (family, has, lacks) in [
        (Family::PTfps, &["\r\nP-tfps: "][..], "\r\nP-UA: "),
        (
            Family::XTfps,
            &[
                "\r\nX-tfps: ",
                "\r\nP-Received: ",
                "\r\nP-UA: ",
                "\r\nP-Calls: ",
            ],
            "\r\nP-tfps: ",
        ),
        (
            Family::Received,
            &["\r\nP-Received: ", "\r\nP-UA: ", "\r\nP-Calls: "],
            "tfps: ",
        ),
        (Family::Bare, &[], "\r\nP-"),
    ] {
        let mut call = mix().call(1);
        call.family = family;
        let mut out = [0; DATAGRAM_BYTES_MAX];
        let length = messages(1).invite(&call, 1, &mut out).unwrap();
        let text = str::from_utf8(&out[..length]).unwrap();
        assert!(has.iter().all(|name| text.contains(name)), "{text}");
        assert!(!text.contains(lacks), "{text}");
        let agent = str::from_utf8(call.agent.as_bytes()).unwrap();
        let presented = text.contains(&format!("\r\nUser-Agent: {agent}\r\n"));
        assert_eq!(presented, family == Family::Bare, "{text}");
    }
}

#[test]
fn messages_of_a_run_have_round_lengths_and_are_else_the_same() {
    let plain = messages(1);
    let addresses = ["127.0.0.1:5070", "127.0.0.1:5060"].map(|text| text.parse().unwrap());
    let [local, target] = addresses;
    let runs = Messages::new(local, target, 1, Shape::UdpRuns);
    for sequence in 0..100 {
        let call = mix().call(sequence);
        let mut brief = Brief::default();
        brief.set(&call);
        let name = Name {
            sequence,
            attempt: Attempt::Plain,
        };
        let text = |messages: &Messages, ack: bool| {
            let mut out = [0; DATAGRAM_BYTES_MAX];
            let length = if ack {
                messages.ack(&brief, name, b"<sip:1@h>;tag=x", &mut out)
            } else {
                messages.invite(&call, sequence, &mut out)
            };
            String::from_utf8(out[..length.unwrap()].to_vec()).unwrap()
        };
        for (ack, step) in [(false, INVITE_BYTES_STEP), (true, ACK_BYTES_STEP)] {
            let padded = text(&runs, ack);
            assert!(padded.len().is_multiple_of(step), "{}", padded.len());
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(words(&padded), words(&text(&plain, ack)));
        }
    }
}

#[test]
fn too_little_room_is_said_not_cut() {
    let mut out = [0; 100];
    assert_eq!(messages(1).invite(&mix().call(0), 0, &mut out), None);
}
