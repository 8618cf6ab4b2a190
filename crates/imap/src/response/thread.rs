//! SORT and THREAD responses. RFC 5256 §4.

use crate::response::Encoder;
use crate::thread::Threads;

impl Encoder<'_> {
    /// `* SORT 5 3 4 1 2`
    pub fn sort(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.push("* SORT");
        for number in numbers {
            self.push(" ");
            self.number(number);
        }
        self.end();
    }

    /// `* THREAD (2)(3 6 (4 23)(44 7 96))`
    // thread-list = "(" (thread-members / thread-nested) ")"
    pub fn thread(&mut self, threads: &Threads) {
        enum Step {
            Open(usize),
            Close,
        }
        self.push("* THREAD");
        let mut steps: Vec<Step> = Vec::new();
        for (i, root) in threads.roots.iter().enumerate() {
            if i == 0 {
                self.push(" ");
            }
            steps.push(Step::Open(*root));
            while let Some(step) = steps.pop() {
                let Step::Open(mut at) = step else {
                    self.push(")");
                    continue;
                };
                self.push("(");
                let mut first = true;
                // As long as there is one child, it stands in the same list.
                while let Some(node) = threads.nodes.get(at) {
                    if let Some(number) = node.number {
                        if !first {
                            self.push(" ");
                        }
                        self.number(number);
                        first = false;
                    }
                    match node.children.as_slice() {
                        [only] => at = *only,
                        several => {
                            steps.push(Step::Close);
                            if !several.is_empty() && !first {
                                self.push(" ");
                            }
                            steps.extend(several.iter().rev().map(|child| Step::Open(*child)));
                            break;
                        }
                    }
                }
            }
        }
        self.end();
    }
}
