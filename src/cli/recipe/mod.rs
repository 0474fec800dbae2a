//! `tollgate recipe`: a dialplan that asks this node, per switch and method, with this node's address in it.
//!
//! Promises: none of the known ways to lose a call or a verdict: `tests/recipes.rs` names them. What no real switch has
//! run says so on its first line.

use clap::ValueEnum;
use std::net::{IpAddr, SocketAddr};

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// Asterisk with `chan_pjsip`.
    Pjsip,
    /// Asterisk with `chan_sip` (up to Asterisk 20).
    #[value(name = "chan_sip")]
    ChanSip,
    /// FreeSWITCH (untested).
    Freeswitch,
    /// Kamailio as the switch that asks.
    Kamailio,
    /// OpenSIPS as the switch that asks (untested).
    Opensips,
}

/// How a verdict is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Method {
    /// 302 approves: the domain's profile is `redirect`.
    Redirect,
    /// 503 approves: the domain's profile is `failover`.
    Failover,
}

/// The recipe for a switch that asks the node listening on `listener`.
pub(super) fn text(switch: Switch, method: Method, listener: SocketAddr) -> String {
    let pick = |redirect: &'static str, failover: &'static str| match method {
        Method::Redirect => redirect,
        Method::Failover => failover,
    };
    let bundle = pick(
        include_str!("bundle-redirect.txt"),
        include_str!("bundle-failover.txt"),
    );
    let asterisk_why = pick(
        include_str!("asterisk-why-redirect.txt"),
        include_str!("asterisk-why-failover.txt"),
    );
    let parts: Vec<&str> = match switch {
        Switch::Pjsip => vec![
            include_str!("pjsip.txt"),
            pick(
                include_str!("pjsip-redirect.txt"),
                include_str!("pjsip-failover.txt"),
            ),
            include_str!("asterisk-why.txt"),
            asterisk_why,
        ],
        Switch::ChanSip => vec![
            include_str!("chan_sip.txt"),
            pick(
                include_str!("chan_sip-redirect.txt"),
                include_str!("chan_sip-failover.txt"),
            ),
            include_str!("asterisk-why.txt"),
            asterisk_why,
        ],
        Switch::Freeswitch => vec![pick(
            include_str!("freeswitch-redirect.txt"),
            include_str!("freeswitch-failover.txt"),
        )],
        Switch::Kamailio => vec![
            include_str!("kamailio.txt"),
            pick(
                include_str!("kamailio-redirect.txt"),
                include_str!("kamailio-failover.txt"),
            ),
            include_str!("kamailio-end.txt"),
        ],
        Switch::Opensips => vec![
            include_str!("opensips.txt"),
            pick(
                include_str!("opensips-redirect.txt"),
                include_str!("opensips-failover.txt"),
            ),
            include_str!("opensips-end.txt"),
        ],
    };
    let (node, unknown) = reachable(listener);
    let note = if unknown {
        "The node listens on every address of its machine: put the one that the switch reaches in place of 192.0.2.10.\n\n"
    } else {
        ""
    };
    let text = parts.concat() + "\n" + &comment(switch, &format!("{note}{bundle}"));
    let host = match node.ip() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    text.replace("{node}", &node.to_string())
        .replace("{host}", &host)
        .replace("{port}", &node.port().to_string())
}

/// Where the node is reached, and whether that had to be guessed.
fn reachable(listener: SocketAddr) -> (SocketAddr, bool) {
    if listener.ip().is_unspecified() {
        let example = SocketAddr::from(([192, 0, 2, 10], listener.port()));
        return (example, true);
    }
    (listener, false)
}

/// Lines as comments of the switch's own configuration.
fn comment(switch: Switch, text: &str) -> String {
    let (open, mark, close) = match switch {
        Switch::Pjsip | Switch::ChanSip => ("", "; ", ""),
        Switch::Kamailio | Switch::Opensips => ("", "# ", ""),
        Switch::Freeswitch => ("<!--\n", "", "-->\n"),
    };
    let lines: String = text
        .lines()
        .map(|line| format!("{mark}{line}").trim_end().to_owned() + "\n")
        .collect();
    format!("{open}{lines}{close}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_listener_is_said_and_an_address_is_used() {
        let at =
            |listener: &str| text(Switch::ChanSip, Method::Redirect, listener.parse().unwrap());
        let known = at("192.0.2.77:5070");
        assert!(known.contains("\nhost=192.0.2.77\nport=5070\n"), "{known}");
        assert!(!known.contains("192.0.2.10"));
        let unknown = at("0.0.0.0:5060");
        assert!(
            unknown.contains("\nhost=192.0.2.10\nport=5060\n"),
            "{unknown}"
        );
        assert!(unknown.contains("in place of 192.0.2.10"));
        let pjsip = text(
            Switch::Pjsip,
            Method::Redirect,
            "[2001:db8::7]:5060".parse().unwrap(),
        );
        assert!(
            pjsip.contains("contact=sip:[2001:db8::7]:5060\n"),
            "{pjsip}"
        );
    }
}
