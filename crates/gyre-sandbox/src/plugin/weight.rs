//! How much a component gives the compiler to do, told before it is compiled.
//!
//! A few bytes of code can stand for very many values: a call takes two and may
//! give a thousand results, and each local may take a value of its own in each
//! block. The compiler numbers values with 29 bits, and each takes memory of the
//! process that compiles. Estimates here are from above: the compiler finds no
//! more values than are counted.

use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, FunctionBody, Operator, Parser, Payload,
    TypeRef, TypeSectionReader,
};

/// What one function may come to. CPython's largest comes to 250,000.
pub(super) const VALUES_MAX: u64 = 1 << 23;

/// A function that is too much for the compiler.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heavy {
    /// Its index in its core module, imports included.
    pub(super) function: u32,
    /// What it comes to, at most.
    pub(super) values: u64,
}

/// The heaviest function of a component, in whichever of its modules.
///
/// # Errors
///
/// When its bytes do not parse.
pub(super) fn heaviest(bytes: &[u8]) -> Result<Option<Heavy>, BinaryReaderError> {
    let mut modules = vec![Module::default()];
    let mut heaviest: Option<Heavy> = None;
    for payload in Parser::new(0).parse_all(bytes) {
        let Some(module) = modules.last_mut() else { break };
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                modules.push(Module::default());
            }
            Payload::End(_) => drop(modules.pop()),
            Payload::TypeSection(section) => module.types = arities(section)?,
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(of) | TypeRef::FuncExact(of) = import?.ty {
                        module.functions.push(of);
                        module.next += 1;
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for of in section {
                    module.functions.push(of?);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let function = module.next;
                module.next += 1;
                let values = module.values(function, &body)?;
                if heaviest.as_ref().is_none_or(|so_far| values > so_far.values) {
                    heaviest = Some(Heavy { function, values });
                }
            }
            _ => {}
        }
    }
    Ok(heaviest)
}

/// How many values a type of functions takes and gives; nothing for others.
fn arities(section: TypeSectionReader<'_>) -> Result<Vec<(u64, u64)>, BinaryReaderError> {
    let mut types = Vec::new();
    for group in section {
        types.extend(group?.into_types().map(|of| match of.composite_type.inner {
            CompositeInnerType::Func(of) => (of.params().len() as u64, of.results().len() as u64),
            _ => (0, 0),
        }));
    }
    Ok(types)
}

/// What is known of a core module once its code is reached.
#[derive(Default)]
struct Module {
    types: Vec<(u64, u64)>,
    /// The type of each function.
    functions: Vec<u32>,
    /// The function whose code comes next.
    next: u32,
}

impl Module {
    fn arity(&self, of: u32) -> (u64, u64) {
        self.types.get(of as usize).copied().unwrap_or_default()
    }

    fn arity_of_function(&self, function: u32) -> (u64, u64) {
        self.functions.get(function as usize).map_or((0, 0), |&of| self.arity(of))
    }

    fn values(&self, function: u32, body: &FunctionBody<'_>) -> Result<u64, BinaryReaderError> {
        let (mut locals, _) = self.arity_of_function(function);
        for group in body.get_locals_reader()? {
            locals += u64::from(group?.0);
        }
        let (mut values, mut blocks) = (locals, 1_u64);
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            values += 1 + match operator {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    self.arity_of_function(function_index).1
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. }
                | Operator::CallRef { type_index }
                | Operator::ReturnCallRef { type_index } => self.arity(type_index).1,
                Operator::Block { blockty }
                | Operator::Loop { blockty }
                | Operator::If { blockty } => {
                    let (takes, gives) = match blockty {
                        BlockType::FuncType(of) => self.arity(of),
                        BlockType::Empty | BlockType::Type(_) => (0, 1),
                    };
                    // What it takes comes in once more after `else`.
                    2 * takes + gives
                }
                _ => 0,
            };
            // Where control comes together or parts, each local may be another.
            blocks += u64::from(matches!(
                operator,
                Operator::Block { .. }
                    | Operator::Loop { .. }
                    | Operator::If { .. }
                    | Operator::Else
                    | Operator::End
                    | Operator::BrIf { .. }
                    | Operator::BrTable { .. }
            ));
        }
        Ok(values.saturating_add(blocks.saturating_mul(locals)))
    }
}
