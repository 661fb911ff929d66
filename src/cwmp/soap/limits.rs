/// What a phone's envelope may be at most. Whatever is beyond is refused as [`Problem`](super::Problem) says, and nothing of it
/// is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body. 1 MiB: phones send up to some hundred kilobytes, the names of their whole data model. Who receives the body
    /// has to stop there as well.
    pub bytes: usize,
    /// Elements within each other. 32; the messages of CWMP come to 8.
    pub depth: usize,
    /// Elements altogether. 100,000.
    pub elements: usize,
    /// Attributes of one element, declarations of namespaces among them. 32.
    pub attributes: usize,
    /// Items of one list: parameters, names, methods, transfers, faults. 20,000.
    pub items: usize,
    /// Characters of a parameter's or object's name, and bytes of an element's. 256, as the schema has it for parameters.
    pub name: usize,
    /// Bytes of any other text. 64 KiB.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 32, elements: 100_000, attributes: 32, items: 20_000, name: 256, text: 1 << 16 }
    }
}
