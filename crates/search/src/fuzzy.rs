//! Words, or words like them (RFC 6203): compared by their stems, English and German, accents apart, and where nothing is found, with
//! one letter wrong that is not the first.

use rust_stemmers::{Algorithm, Stemmer};

/// Where words are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Header and body.
    Text,
    /// The body.
    Body,
    /// One field of the header, by its name in lower case.
    Field(&'static str),
}

/// What is looked for, made ready once.
#[derive(Clone, Debug)]
pub struct FuzzyWords {
    words: Vec<Word>,
    loose: bool,
}

#[derive(Clone, Debug)]
struct Word {
    /// Folded, without accents.
    plain: String,
    stems: [String; 2],
    /// What every form of it begins with.
    beginning: String,
}

/// Words of one search that count.
const WORDS_MOST: usize = 16;
/// Words of a text that are looked at: a novel has fewer.
const TEXT_WORDS_MOST: usize = 500_000;
/// Letters of a word that count.
const LETTERS_MOST: usize = 64;

impl FuzzyWords {
    /// The words of a text.
    pub fn new(text: &str) -> FuzzyWords {
        let folded = mime::fold(text);
        let plain: String = folded.chars().filter(|c| !is_accent(*c)).collect();
        let words = plain
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty() && word.len() <= LETTERS_MOST * 4)
            .take(WORDS_MOST)
            .map(|word| {
                let stems = stems(word);
                let mut beginning = word.to_owned();
                for stem in &stems {
                    let same = beginning.chars().zip(stem.chars()).take_while(|(a, b)| a == b);
                    let len = same.map(|(a, _)| a.len_utf8()).sum();
                    beginning.truncate(len);
                }
                // Stems change letters at their end ("city", "citi"); the first four tell enough.
                let cut = beginning.char_indices().nth(4).map_or(beginning.len(), |(at, _)| at);
                beginning.truncate(cut);
                Word {
                    plain: word.to_owned(),
                    stems,
                    beginning,
                }
            })
            .collect();
        FuzzyWords { words, loose: false }
    }

    /// The same with one letter wrong in each longer word.
    pub(crate) fn loosened(&self) -> FuzzyWords {
        FuzzyWords {
            loose: true,
            ..self.clone()
        }
    }

    pub(crate) fn is_loose(&self) -> bool {
        self.loose
    }

    /// Each text that holds the words holds one of these. Empty: nothing is known.
    pub(crate) fn beginnings(&self) -> Vec<String> {
        let longest = self.words.iter().max_by_key(|word| word.beginning.len());
        let Some(start) = longest
            .map(|word| word.beginning.as_str())
            .filter(|start| start.len() >= 3)
        else {
            return Vec::new();
        };
        if self.loose || !start.is_ascii() {
            return Vec::new();
        }
        // The text has its accents: each letter may have one behind it, and those of German are what we look for.
        let mut forms = vec![String::new()];
        for letter in start.chars() {
            let accented = matches!(letter, 'a' | 'o' | 'u' | 'e' | 'i' | 'c' | 'n');
            let more: Vec<String> = match accented {
                true => forms.iter().map(|form| format!("{form}{letter}\u{308}")).collect(),
                false => Vec::new(),
            };
            forms.iter_mut().for_each(|form| form.push(letter));
            forms.extend(more);
        }
        // An accent of another kind is found by the letters before it, where these are enough.
        forms
    }

    /// How well a text fits; `None` if a word is not in it.
    pub(crate) fn score(&self, scope: Scope, head: &str, body: &str) -> Option<f32> {
        if self.words.is_empty() {
            return None;
        }
        let mut counts = vec![0.0f32; self.words.len()];
        let mut length = 0;
        match scope {
            Scope::Text => {
                // What is said in the subject weighs more.
                for line in head.lines() {
                    let weight = if line.starts_with("subject: ") { 4.0 } else { 1.0 };
                    self.count(line, weight, &mut counts, &mut length);
                }
                self.count(body, 1.0, &mut counts, &mut length);
            }
            Scope::Body => self.count(body, 1.0, &mut counts, &mut length),
            Scope::Field(name) => {
                let values = head
                    .lines()
                    .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                for value in values {
                    self.count(value, 1.0, &mut counts, &mut length);
                }
            }
        }
        if counts.contains(&0.0) {
            return None;
        }
        // As BM25 has it: each further time counts less, and less so in a long text.
        let long = 0.5 + length as f32 / 600.0;
        Some(counts.iter().map(|count| count * 2.2 / (count + 1.2 * long)).sum())
    }

    fn count(&self, text: &str, weight: f32, counts: &mut [f32], length: &mut usize) {
        let mut stripped;
        for word in text.split(|c: char| !c.is_alphanumeric() && !is_accent(c)) {
            if word.is_empty() || *length > TEXT_WORDS_MOST {
                continue;
            }
            *length += 1;
            let word = if word.is_ascii() {
                word
            } else {
                stripped = word.chars().filter(|c| !is_accent(*c)).collect::<String>();
                stripped.as_str()
            };
            for (wanted, count) in self.words.iter().zip(counts.iter_mut()) {
                *count += weight * wanted.likeness(word, self.loose);
            }
        }
    }
}

impl Word {
    fn likeness(&self, word: &str, loose: bool) -> f32 {
        if word == self.plain {
            return 1.0;
        }
        if word.starts_with(&self.beginning) && word.len() <= LETTERS_MOST {
            let stems = stems(word);
            if stems.iter().any(|stem| self.stems.contains(stem)) {
                return 0.7;
            }
        }
        let near =
            word.len().abs_diff(self.plain.len()) <= 4 && word.as_bytes().first() == self.plain.as_bytes().first();
        if loose && near && word.len() <= LETTERS_MOST {
            let theirs = stems(word);
            let mut pairs = self.stems.iter().zip(&theirs);
            if is_one_off(&self.plain, word) || pairs.any(|(mine, theirs)| is_one_off(mine, theirs)) {
                return 0.4;
            }
        }
        0.0
    }
}

fn stems(word: &str) -> [String; 2] {
    [Algorithm::English, Algorithm::German].map(|language| Stemmer::create(language).stem(word).into_owned())
}

/// Combining marks, which folding leaves behind the letters they belong to.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Whether two words of five letters or more differ in one letter: another one, one more, one less, or two changed about.
fn is_one_off(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() < 5 || long.len() > LETTERS_MOST || long.len() - short.len() > 1 {
        return false;
    }
    let front = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
    let back = short
        .iter()
        .rev()
        .zip(long.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let back = back.min(short.len() - front);
    let (left, right) = (short.len() - front - back, long.len() - front - back);
    match (left, right) {
        (0, 0 | 1) | (1, 1) => true,
        (2, 2) => short.get(front) == long.get(front + 1) && short.get(front + 1) == long.get(front),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(words: &str, text: &str) -> Option<f32> {
        let words = FuzzyWords::new(words);
        let folded = mime::fold(text);
        words
            .score(Scope::Body, "", &folded)
            .or_else(|| words.loosened().score(Scope::Body, "", &folded))
    }

    #[test]
    fn finds_forms_of_words() {
        for (words, text, found) in [
            ("meeting", "We meet on Monday", true),
            ("connection", "all connected computers", true),
            ("Haus", "zwei Häuser am See", true),
            ("Vorlesungen", "Die Vorlesung fällt aus", true),
            ("Prüfung", "Pruefung oder Prüfungen", true),
            ("cafe", "im Café", true),
            ("budget report", "The report on the budget", true),
            ("budget report", "The report", false),
            ("Helo", "Hello there", true),
            ("semniar", "das Seminar", true),
            ("cat", "a car", false),
            ("", "anything", false),
        ] {
            assert_eq!(score(words, text).is_some(), found, "{words} in {text}");
        }
    }

    #[test]
    fn ranks() {
        let ranked = |better: &str, worse: &str| {
            let (a, b) = (score("seminar", better).unwrap(), score("seminar", worse).unwrap());
            assert!(a > b, "{a} {b}");
        };
        ranked("seminar", "seminars");
        ranked("seminar seminar seminar", "seminar and other things");
        ranked("the seminar", &format!("seminar {}", "word ".repeat(2000)));
    }

    /// Whatever the filter rules out must not be found by looking.
    #[test]
    fn the_filter_lets_all_forms_pass() {
        for (words, text) in [
            ("Haus", "häuser"),
            ("meeting", "meet"),
            ("Prüfung", "prüfungen"),
            ("city", "cities"),
            ("cafe", "café"),
        ] {
            let beginnings = FuzzyWords::new(words).beginnings();
            let folded = mime::fold(text);
            assert!(
                beginnings.is_empty() || beginnings.iter().any(|start| folded.contains(start.as_str())),
                "{words}: {beginnings:?} not in {text}"
            );
        }
    }
}
