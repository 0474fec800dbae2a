//! The verdict codes: stable names of why a call was approved or not.

/// Why a call got its verdict. The names are the original system's and appear on the wire, in lists and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Code {
    /// Approved.
    A00 = 0,
    /// The user agent is on a deny list.
    R01,
    /// The caller's address is on a deny list.
    R02,
    /// The dialled number is on a deny list.
    R03,
    /// The destination is not allowed by the policy.
    R06,
    /// No such international prefix, or the dialled string is not an international number.
    R07,
    /// Too many simultaneous calls, off hours.
    R08,
    /// The quota of off hours is used up.
    R09,
    /// Too many simultaneous calls, working hours.
    R10,
    /// The quota of working hours is used up.
    R11,
    /// The caller's address belongs to a known gang's set.
    R12,
    /// Too many calls of one origin to one destination in a given time.
    R13,
    /// The screening headers contradict themselves.
    R14,
    /// There is no room to count the subscriber's calls by.
    R15,
    /// An operator's own code, as are those that follow.
    X01,
    /// Own.
    X02,
    /// Own.
    X03,
    /// Own.
    X04,
    /// Own.
    X05,
    /// Own.
    X06,
    /// Own.
    X07,
    /// Own.
    X08,
    /// Own.
    X09,
    /// Own.
    X10,
    /// Own.
    X11,
    /// Own.
    X12,
    /// Own.
    X13,
    /// Own.
    X14,
    /// Own.
    X15,
    /// Own.
    X16,
}

impl Code {
    /// All codes, in the order of their numbers in arrays.
    pub const ALL: [Self; 30] = [
        Self::A00,
        Self::R01,
        Self::R02,
        Self::R03,
        Self::R06,
        Self::R07,
        Self::R08,
        Self::R09,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
        Self::X01,
        Self::X02,
        Self::X03,
        Self::X04,
        Self::X05,
        Self::X06,
        Self::X07,
        Self::X08,
        Self::X09,
        Self::X10,
        Self::X11,
        Self::X12,
        Self::X13,
        Self::X14,
        Self::X15,
        Self::X16,
    ];

    /// The three characters of the code.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::A00 => "A00",
            Self::R01 => "R01",
            Self::R02 => "R02",
            Self::R03 => "R03",
            Self::R06 => "R06",
            Self::R07 => "R07",
            Self::R08 => "R08",
            Self::R09 => "R09",
            Self::R10 => "R10",
            Self::R11 => "R11",
            Self::R12 => "R12",
            Self::R13 => "R13",
            Self::R14 => "R14",
            Self::R15 => "R15",
            Self::X01 => "X01",
            Self::X02 => "X02",
            Self::X03 => "X03",
            Self::X04 => "X04",
            Self::X05 => "X05",
            Self::X06 => "X06",
            Self::X07 => "X07",
            Self::X08 => "X08",
            Self::X09 => "X09",
            Self::X10 => "X10",
            Self::X11 => "X11",
            Self::X12 => "X12",
            Self::X13 => "X13",
            Self::X14 => "X14",
            Self::X15 => "X15",
            Self::X16 => "X16",
        }
    }

    /// Whether it is one of an operator's own.
    #[must_use]
    pub const fn is_own(self) -> bool {
        self.index() >= Self::X01.index()
    }

    /// The code with this name, case-sensitive.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.text() == text)
    }

    /// Its place in arrays that count by code.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A set of codes, for what was reported without deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct CodeSet(u32);

const _: () = assert!(Code::ALL.len() <= 32, "a set has a bit for each code");

impl CodeSet {
    /// Adds a code.
    pub fn insert(&mut self, code: Code) {
        self.0 |= 1 << code.index();
    }

    /// Whether the code is in it.
    #[must_use]
    pub fn contains(self, code: Code) -> bool {
        self.0 & (1 << code.index()) != 0
    }

    /// The codes of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// A bit for each code, by `Code::index`.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}
