//! What the running node answered, in lines for people.

use serde_json::Value;

/// The node's status.
pub(super) fn summary(body: &Value) -> String {
    let bundle = &body["bundle"];
    let state = if body["ready"] == Value::Bool(true) {
        "ready".to_owned()
    } else {
        format!("NOT READY: {}", text(&body["why_not_ready"]))
    };
    let stale = if bundle["stale"] == Value::Bool(true) {
        format!(
            "bundle REFUSED, the one in force is older:\n{}",
            lines(&bundle["faults"], "  ")
        )
    } else {
        String::new()
    };
    let shards: String = body["shards"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(number, shard)| {
            let running = if shard["running"] == Value::Bool(true) {
                "running"
            } else {
                "DOWN"
            };
            format!(
                "shard {number}: {running}, datagrams {}, dropped by the kernel {}\n",
                shard["datagrams"], shard["kernel_dropped"]
            )
        })
        .collect();
    let unknown = unknown_sources(&body["unknown_sources"]);
    format!(
        "{}: {state}; tollgate {}, up {} s\nbundle: generation {}, in force for {} s, domains {}, refused {}, read from {}\n{stale}{shards}{unknown}",
        text(&body["node"]),
        text(&body["version"]),
        body["uptime_seconds"],
        text(&bundle["generation"]),
        bundle["age_seconds"],
        bundle["domains"],
        bundle["refused_total"],
        text(&bundle["read_from"]),
    )
}

/// Who asks and is nobody's peer: a PBX that hears nothing is most likely among them.
fn unknown_sources(unknown: &Value) -> String {
    let most: Vec<String> = unknown["most"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|source| format!("{} ({})", text(&source["address"]), source["datagrams"]))
        .collect();
    let from = if most.is_empty() {
        String::new()
    } else {
        format!(", never answered; most from {}", most.join(", "))
    };
    format!("nobody's peers: datagrams {}{from}\n", unknown["datagrams"])
}

/// A line for every hold: what it is ended by, its code, how long it lasts, and whom it holds.
pub(super) fn held(body: &Value) -> String {
    let holds = body["holds"].as_array().cloned().unwrap_or_default();
    let mut said: String = holds
        .iter()
        .map(|hold| {
            let about = ["domain", "subscriber", "limit", "caller", "address", "to"]
                .into_iter()
                .map(|name| (name, text(&hold[name])))
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| format!(" {name} {value}"))
                .collect::<String>();
            format!(
                "{} {} {} s left:{about}\n",
                text(&hold["id"]),
                text(&hold["code"]),
                hold["left_seconds"]
            )
        })
        .collect();
    match body["more"].as_u64() {
        Some(more) if more > 0 => said += &format!("and {more} more\n"),
        _ if holds.is_empty() => said += "no hold is in force\n",
        _ => {}
    }
    said
}

/// Lines on codes, a line for every limit, and for every list and for each of its rows that decided calls.
pub(super) fn hits(body: &Value) -> String {
    let mut said = String::new();
    let each = |list: &Value| list.as_array().cloned().unwrap_or_default();
    said += &codes(&each(&body["rules"]));
    for limit in each(&body["limits"]) {
        said += &format!(
            "limit {} of {}, {} {}: {}\n",
            text(&limit["limit"]),
            text(&limit["policy"]),
            text(&limit["action"]),
            text(&limit["code"]),
            limit_calls(&limit)
        );
    }
    if let Some(more) = body["limits_more"].as_u64().filter(|more| *more > 0) {
        said += &format!("and {more} limits more\n");
    }
    for list in each(&body["lists"]) {
        let calls = match list["calls"].as_u64() {
            Some(calls) => format!("calls {calls}"),
            None => "calls not counted without [journal]".to_owned(),
        };
        let file = text(&list["file"]);
        said += &format!("{file}: rows {}, {calls}\n", list["rows"]);
        for row in each(&list["deciding"]) {
            said += &format!("{file}:{}: calls {}\n", row["line"], row["calls"]);
        }
    }
    said
}

/// A line for every code that decided calls, can, or can report some; then what cannot, and what would make it.
fn codes(rules: &[Value]) -> String {
    let mut said = String::new();
    // By what would make them, those that come to nothing, with their places.
    let mut idle: Vec<(&str, Vec<(usize, &str)>)> = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let code = text(&rule["code"]);
        let by = text(&rule["decides_by"]);
        let would = rule["would"].as_u64().unwrap_or(0);
        let reach = text(&rule["reach"]);
        if reach == "nothing" && rule["calls"] == 0 && would == 0 {
            match idle.iter_mut().find(|(known, _)| *known == by) {
                Some((_, codes)) => codes.push((place, code)),
                None => idle.push((by, vec![(place, code)])),
            }
            continue;
        }
        let would = match would {
            0 => String::new(),
            would => format!(", in detection mode would have: {would}"),
        };
        let reach = match reach {
            "nothing" => format!("; none any more without {by}"),
            "reports" => format!("; it only reports without {by}"),
            _ => String::new(),
        };
        said += &format!("{code}: calls {}{would}{reach}\n", rule["calls"]);
    }
    for (by, codes) in idle {
        said += &format!("{}: never without {by}\n", runs(&codes));
    }
    said
}

/// Codes with those that follow each other drawn together, if there are more than two: `R08 to R11, R13`.
fn runs(codes: &[(usize, &str)]) -> String {
    let follows = |left: &(usize, &str), right: &(usize, &str)| left.0 + 1 == right.0;
    let runs = codes.chunk_by(follows).map(|run| match run {
        [(_, only)] => (*only).to_owned(),
        [(_, first), (_, last)] => format!("{first}, {last}"),
        [(_, first), .., (_, last)] => format!("{first} to {last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn limit_calls(limit: &Value) -> String {
    let Some(calls) = limit["calls"].as_u64() else {
        return "calls not counted without [journal]".to_owned();
    };
    let some = |name: &str, said: &str| match limit[name].as_u64() {
        Some(count) if count > 0 => format!(", {said} {count}"),
        _ => String::new(),
    };
    let held = some("held", "of them by its hold");
    let warned = some("warned", "warnings");
    format!("calls {calls}{held}{warned}")
}

/// A line for every text.
pub(super) fn lines(list: &Value, indent: &str) -> String {
    let texts = list.as_array().into_iter().flatten();
    texts
        .map(|line| format!("{indent}{}\n", text(line)))
        .collect()
}

/// A string without its quotes; nothing for what is no string.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_come_to_nothing_are_told_with_what_would_make_them() {
        let limit = "a limit with that code";
        let of = |code: &str, calls: u64, would: u64, reach: &str, by: &str| serde_json::json!({ "code": code, "calls": calls, "would": would, "reach": reach, "decides_by": by });
        let rules = [
            of("A00", 5, 0, "decides", "a domain"),
            of("R01", 0, 0, "decides", "an agent"),
            of("R02", 0, 0, "nothing", "an address"),
            of("R03", 2, 1, "nothing", "a number"),
            of("R08", 0, 0, "nothing", limit),
            of("R09", 0, 0, "nothing", limit),
            of("R12", 0, 0, "nothing", "an address with R12"),
            of("R13", 0, 0, "nothing", limit),
            of("R14", 0, 0, "reports", "identity"),
            of("X01", 0, 0, "nothing", limit),
            of("X02", 0, 0, "nothing", limit),
            of("X03", 0, 0, "nothing", limit),
        ];
        assert_eq!(
            codes(&rules),
            "A00: calls 5\nR01: calls 0\n\
             R03: calls 2, in detection mode would have: 1; none any more without a number\n\
             R14: calls 0; it only reports without identity\n\
             R02: never without an address\n\
             R08, R09, R13, X01 to X03: never without a limit with that code\n\
             R12: never without an address with R12\n"
        );
    }

    #[test]
    fn hits_are_told_in_lines() {
        let body: Value = serde_json::from_str(
            r#"{"rules":[{"code":"A00","calls":5,"would":0},{"code":"R03","calls":2,"would":1}],
               "limits":[{"policy":"std","limit":"pair","code":"R13","action":"reject","calls":3,"held":2,"warned":1},
               {"policy":"std","limit":"day","code":"R11","action":"report","calls":0,"held":0,"warned":0},
               {"policy":"std","limit":"night","code":"R08","action":"report","calls":null,"held":null,"warned":null}],"limits_more":7,
               "lists":[{"file":"lists/a.csv","rows":9,"calls":2,"deciding":[{"line":4,"calls":2}]},
               {"file":"lists/b.csv","rows":1,"calls":null,"deciding":[]}]}"#,
        )
        .unwrap();
        assert_eq!(
            hits(&body),
            "A00: calls 5\nR03: calls 2, in detection mode would have: 1\n\
             limit pair of std, reject R13: calls 3, of them by its hold 2, warnings 1\n\
             limit day of std, report R11: calls 0\n\
             limit night of std, report R08: calls not counted without [journal]\n\
             and 7 limits more\n\
             lists/a.csv: rows 9, calls 2\nlists/a.csv:4: calls 2\n\
             lists/b.csv: rows 1, calls not counted without [journal]\n"
        );
    }

    #[test]
    fn a_status_is_told_in_lines() {
        let body: Value = serde_json::from_str(
            r#"{"node":"a","version":"1","uptime_seconds":5,"ready":false,"why_not_ready":"draining",
               "bundle":{"generation":"0a","age_seconds":4,"domains":2,"refused_total":1,"stale":true,"read_from":"/a/bundle",
               "faults":["x.csv:1:1: no"]},
               "shards":[{"running":true,"datagrams":7,"kernel_dropped":0}],
               "unknown_sources":{"datagrams":6,"most":[{"address":"192.0.2.7","datagrams":5},{"address":"2001:db8::1","datagrams":1}]}}"#,
        )
        .unwrap();
        assert_eq!(
            summary(&body),
            "a: NOT READY: draining; tollgate 1, up 5 s\n\
             bundle: generation 0a, in force for 4 s, domains 2, refused 1, read from /a/bundle\n\
             bundle REFUSED, the one in force is older:\n  x.csv:1:1: no\n\
             shard 0: running, datagrams 7, dropped by the kernel 0\n\
             nobody's peers: datagrams 6, never answered; most from 192.0.2.7 (5), 2001:db8::1 (1)\n"
        );
        let none = serde_json::json!({ "datagrams": 0, "most": [] });
        assert_eq!(unknown_sources(&none), "nobody's peers: datagrams 0\n");
    }
}
