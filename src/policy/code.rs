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
    /// The caller's address belongs to a known gang's set.
    R12,
    /// The screening headers contradict themselves.
    R14,
}

impl Code {
    /// All codes, in the order of their numbers in arrays.
    pub const ALL: [Self; 8] = [
        Self::A00,
        Self::R01,
        Self::R02,
        Self::R03,
        Self::R06,
        Self::R07,
        Self::R12,
        Self::R14,
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
            Self::R12 => "R12",
            Self::R14 => "R14",
        }
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
pub struct CodeSet(u16);

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

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
