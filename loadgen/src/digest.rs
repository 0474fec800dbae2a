//! Digest credentials when a server asks for them: RFC 3261 §22, RFC 7616, RFC 8760.
//!
//! Promises: of several challenges the first whose algorithm and protection we know is answered (RFC 8760 §2.4); what is
//! sent back of the challenge is what came. Knows MD5, SHA-256 and their session forms, `auth` and none.
//! Leaves to `engine`: when to ask again.

use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::answer::header_lines;
use crate::random::SplitMix64;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; `None`: the account that the call belongs to.
    pub user: Option<String>,
    /// The password of all.
    pub password: String,
}

/// What of a challenge is needed; the values as they came, without their quotes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Challenge<'a> {
    realm: &'a str,
    nonce: &'a str,
    opaque: Option<&'a str>,
    algorithm: Option<&'a str>,
    qop: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
}

/// The header line, with its line end, that answers a 401 or 407 to an INVITE for `uri`; `None` if it asks for nothing that we know.
/// `subscriber` stands in for a user that the credentials do not name; `number` makes the client's nonce.
#[must_use]
pub fn authorization(
    answer: &[u8],
    status: u16,
    credentials: &Credentials,
    subscriber: &str,
    uri: &str,
    number: u64,
) -> Option<String> {
    let (asked, given) = if status == 407 {
        ("Proxy-Authenticate", "Proxy-Authorization")
    } else {
        ("WWW-Authenticate", "Authorization")
    };
    let user = credentials.user.as_deref().unwrap_or(subscriber);
    header_lines(answer)
        .filter(|(name, _)| name.eq_ignore_ascii_case(asked.as_bytes()))
        .filter_map(|(_, value)| Challenge::read(str::from_utf8(value).ok()?))
        .find_map(|challenge| challenge.answer(user, &credentials.password, uri, number))
        .map(|value| format!("{given}: {value}\r\n"))
}

impl<'a> Challenge<'a> {
    fn read(value: &'a str) -> Option<Self> {
        let (scheme, mut rest) = value.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut challenge = Self::default();
        let mut seen = (false, false);
        while let Some((name, after)) = rest.split_once('=') {
            let (value, next) = value_of(after.trim_start())?;
            match name
                .trim_matches(|c: char| c == ',' || c.is_whitespace())
                .to_ascii_lowercase()
                .as_str()
            {
                "realm" => {
                    challenge.realm = value;
                    seen.0 = true;
                }
                "nonce" => {
                    challenge.nonce = value;
                    seen.1 = true;
                }
                "opaque" => challenge.opaque = Some(value),
                "algorithm" => challenge.algorithm = Some(value),
                "qop" => challenge.qop = Some(value),
                _ => {} // RFC 7616 §3.3: unknown parameters are ignored
            }
            rest = next;
        }
        (seen == (true, true)).then_some(challenge)
    }

    fn answer(&self, user: &str, password: &str, uri: &str, number: u64) -> Option<String> {
        let algorithm = self.algorithm.unwrap_or("MD5");
        let upper = algorithm.to_ascii_uppercase();
        let (base, session) = upper
            .strip_suffix("-SESS")
            .map_or((upper.as_str(), false), |base| (base, true));
        let hash = match base {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Sha256,
            _ => return None,
        };
        let protected = match self.qop {
            None => false,
            Some(list)
                if list
                    .split(',')
                    .any(|word| word.trim().eq_ignore_ascii_case("auth")) =>
            {
                true
            }
            Some(_) => return None,
        };
        let cnonce = format!("{:016x}", SplitMix64::of(number, 0).next_u64());
        let nonce = self.nonce;
        let mut secret = hash.hex(&format!("{user}:{}:{password}", unquoted(self.realm)));
        if session {
            secret = hash.hex(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let request = hash.hex(&format!("INVITE:{uri}"));
        let response = if protected {
            hash.hex(&format!(
                "{secret}:{nonce}:00000001:{cnonce}:auth:{request}"
            ))
        } else {
            hash.hex(&format!("{secret}:{nonce}:{request}"))
        };
        let mut line = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\"",
            quoted(user),
            self.realm
        );
        if self.algorithm.is_some() {
            line.push_str(&format!(", algorithm={algorithm}"));
        }
        if protected {
            line.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
        } else if session {
            line.push_str(&format!(", cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = self.opaque {
            line.push_str(&format!(", opaque=\"{opaque}\""));
        }
        Some(line)
    }
}

impl Hash {
    fn hex(self, text: &str) -> String {
        let digits = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect();
        match self {
            Self::Md5 => digits(&Md5::digest(text)),
            Self::Sha256 => digits(&Sha256::digest(text)),
        }
    }
}

/// What proves that a client knows the password.
#[derive(Debug, Default)]
struct Proof<'a> {
    user: &'a str,
    realm: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    algorithm: &'a str,
    protection: Option<(&'a str, &'a str, &'a str)>,
}

/// Whether the value of an Authorization proves to know the password, for this method, nonce and realm.
#[must_use]
pub fn proves(value: &str, method: &str, nonce: &str, realm: &str, password: &str) -> bool {
    let Some(proof) = Proof::read(value) else {
        return false;
    };
    let hash = match proof.algorithm.to_ascii_uppercase().as_str() {
        "MD5" => Hash::Md5,
        "SHA-256" => Hash::Sha256,
        _ => return false,
    };
    let secret = hash.hex(&format!("{}:{realm}:{password}", unquoted(proof.user)));
    let request = hash.hex(&format!("{method}:{}", proof.uri));
    let expected = match proof.protection {
        Some((count, cnonce, qop)) => hash.hex(&format!(
            "{secret}:{nonce}:{count}:{cnonce}:{qop}:{request}"
        )),
        None => hash.hex(&format!("{secret}:{nonce}:{request}")),
    };
    proof.nonce == nonce && unquoted(proof.realm) == realm && proof.response == expected
}

impl<'a> Proof<'a> {
    fn read(value: &'a str) -> Option<Self> {
        let (_, mut rest) = value.trim().split_once(' ')?;
        let mut proof = Self {
            algorithm: "MD5",
            ..Self::default()
        };
        let (mut count, mut cnonce, mut qop) = (None, None, None);
        while let Some((name, after)) = rest.split_once('=') {
            let (value, next) = value_of(after.trim_start())?;
            match name.trim_matches(|c: char| c == ',' || c.is_whitespace()) {
                "username" => proof.user = value,
                "realm" => proof.realm = value,
                "nonce" => proof.nonce = value,
                "uri" => proof.uri = value,
                "response" => proof.response = value,
                "algorithm" => proof.algorithm = value,
                "nc" => count = Some(value),
                "cnonce" => cnonce = Some(value),
                "qop" => qop = Some(value),
                _ => {}
            }
            rest = next;
        }
        proof.protection = count.zip(cnonce).zip(qop).map(|((a, b), c)| (a, b, c));
        Some(proof)
    }
}

/// A parameter's value without its quotes, and what follows it.
fn value_of(text: &str) -> Option<(&str, &str)> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((value.trim_end(), rest));
    };
    let mut escaped = false;
    for (at, letter) in inner.char_indices() {
        match letter {
            '"' if !escaped => return Some((inner.get(..at)?, inner.get(at + 1..)?)),
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    None
}

/// A quoted string's text without its escapes (RFC 3261 §25.1).
fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(if letter == '\\' {
            letters.next().unwrap_or(letter)
        } else {
            letter
        });
    }
    out
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &str) -> String {
        format!("SIP/2.0 401 Unauthorized\r\nVia: x\r\n{lines}Content-Length: 0\r\n\r\n")
    }

    fn line(lines: &str, status: u16) -> Option<String> {
        let credentials = Credentials {
            user: Some("Mufasa".to_owned()),
            password: "Circle of Life".to_owned(),
        };
        authorization(
            answer(lines).as_bytes(),
            status,
            &credentials,
            "",
            "/dir/index.html",
            1,
        )
    }

    fn response(line: &str) -> &str {
        let (_, rest) = line.split_once("response=\"").unwrap();
        rest.split_once('"').unwrap().0
    }

    #[test]
    fn without_protection_the_response_is_that_of_rfc_2069() {
        // H(H(user:realm:password):nonce:H(INVITE:uri)), reckoned with md5sum(1) and sha256sum(1).
        for (algorithm, expected) in [
            ("", MD5_PLAIN),
            (", algorithm=MD5", MD5_PLAIN),
            (", algorithm=SHA-256", SHA256_PLAIN),
        ] {
            let lines = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"{algorithm}\r\n");
            let line = line(&lines, 401).unwrap();
            assert_eq!(response(&line), expected, "{line}");
            assert!(line.starts_with(
                "Authorization: Digest username=\"Mufasa\", realm=\"r\", nonce=\"n\""
            ));
            assert!(!line.contains("qop") && line.ends_with("\r\n"));
            assert_eq!(line.contains("algorithm="), !algorithm.is_empty());
        }
    }

    #[test]
    fn with_protection_count_and_client_nonce_are_covered() {
        let lines = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", opaque=\"o\\\"p\", qop=\"auth,auth-int\", algorithm=SHA-256\r\n";
        let line = line(lines, 407).unwrap();
        assert!(line.starts_with("Proxy-Authorization: "));
        assert!(line.contains("qop=auth, nc=00000001") && line.contains("opaque=\"o\\\"p\""));
        let (_, rest) = line.split_once("cnonce=\"").unwrap();
        let cnonce = rest.split_once('"').unwrap().0;
        let hex = |text: &str| Hash::Sha256.hex(text);
        let secret = hex("Mufasa:r:Circle of Life");
        let request = hex("INVITE:/dir/index.html");
        let expected = hex(&format!("{secret}:n:00000001:{cnonce}:auth:{request}"));
        assert_eq!(response(&line), expected);
    }

    #[test]
    fn the_first_challenge_that_we_know_is_answered() {
        let lines = "WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", algorithm=SHA-512-256\r\n\
             WWW-Authenticate: Basic realm=\"b\"\r\n\
             WWW-Authenticate: Digest realm=\"c\", nonce=\"n\", qop=\"auth-int\"\r\n\
             WWW-Authenticate: Digest nonce=\"n\", realm=\"d\", algorithm=SHA-256-sess\r\n\
             WWW-Authenticate: Digest realm=\"e\", nonce=\"n\"\r\n";
        let found = line(lines, 401).unwrap();
        assert!(
            found.contains("realm=\"d\"") && found.contains("cnonce="),
            "{found}"
        );
        for lines in [
            "",
            "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", // of a 407
            "WWW-Authenticate: Digest realm=\"r\"\r\n",
            "WWW-Authenticate: Digest realm=\"r, nonce=\"n\r\n",
        ] {
            assert_eq!(line(lines, 401), None, "{lines}");
        }
    }

    #[test]
    fn an_answer_proves_the_password_and_nothing_else() {
        for algorithm in ["MD5", "SHA-256"] {
            for qop in ["", ", qop=\"auth\""] {
                let lines = format!(
                    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm={algorithm}{qop}\r\n"
                );
                let line = line(&lines, 401).unwrap();
                let value = line.strip_prefix("Authorization: ").unwrap().trim_end();
                assert!(
                    proves(value, "INVITE", "n", "r", "Circle of Life"),
                    "{value}"
                );
                assert!(!proves(value, "INVITE", "n", "r", "Circle of Lies"));
                assert!(!proves(value, "INVITE", "m", "r", "Circle of Life"));
                assert!(!proves(value, "BYE", "n", "r", "Circle of Life"));
            }
        }
        assert!(!proves("Digest", "INVITE", "n", "r", ""));
    }

    #[test]
    fn the_hashes_are_those_of_their_standards() {
        // RFC 1321 §A.5; FIPS 180-2 appendix B.1.
        assert_eq!(Hash::Md5.hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            Hash::Sha256.hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    const MD5_PLAIN: &str = "27a52253c7319dc5897aeced8a3826cc";
    const SHA256_PLAIN: &str = "ea840686141b3df742da596961146ef64d1bf5d349db8a0c3e1e91ffc4ebc59d";
}
