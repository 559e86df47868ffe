//! Columns on their way to Parquet and back. Which columns there are is said
//! once, where rows are encoded: the schema follows from it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, ListBuilder, StringBuilder, UInt32Builder,
};
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray,
    PrimitiveArray, RecordBatch, StringArray, StructArray, UInt32Array, UInt64Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema};

use crate::error::Fault;

/// Columns being put together, all of one length.
#[derive(Default)]
pub(crate) struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn push(&mut self, name: &str, nullable: bool, array: impl Array + 'static) {
        self.fields.push(Field::new(name, array.data_type().clone(), nullable));
        self.arrays.push(Arc::new(array));
    }

    pub(crate) fn text<S: AsRef<str>>(&mut self, name: &str, values: impl Iterator<Item = S>) {
        self.push(name, false, StringArray::from_iter_values(values));
    }

    pub(crate) fn optional_text<S: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Option<S>>,
    ) {
        self.push(name, true, values.collect::<StringArray>());
    }

    pub(crate) fn u32(&mut self, name: &str, values: impl Iterator<Item = u32>) {
        self.push(name, false, UInt32Array::from_iter_values(values));
    }

    pub(crate) fn optional_u32(&mut self, name: &str, values: impl Iterator<Item = Option<u32>>) {
        self.push(name, true, values.collect::<UInt32Array>());
    }

    pub(crate) fn u64(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        self.push(name, false, UInt64Array::from_iter_values(values));
    }

    pub(crate) fn i64(&mut self, name: &str, values: impl Iterator<Item = i64>) {
        self.push(name, false, Int64Array::from_iter_values(values));
    }

    pub(crate) fn f32(&mut self, name: &str, values: impl Iterator<Item = f32>) {
        self.push(name, false, Float32Array::from_iter_values(values));
    }

    pub(crate) fn optional_f32(&mut self, name: &str, values: impl Iterator<Item = Option<f32>>) {
        self.push(name, true, values.collect::<Float32Array>());
    }

    pub(crate) fn f64(&mut self, name: &str, values: impl Iterator<Item = f64>) {
        self.push(name, false, Float64Array::from_iter_values(values));
    }

    pub(crate) fn bool(&mut self, name: &str, values: impl Iterator<Item = bool>) {
        let mut array = BooleanBuilder::new();
        values.for_each(|value| array.append_value(value));
        self.push(name, false, array.finish());
    }

    pub(crate) fn u32_lists<'a>(&mut self, name: &str, lists: impl Iterator<Item = &'a [u32]>) {
        let mut array = ListBuilder::new(UInt32Builder::new()).with_field(item(DataType::UInt32));
        for list in lists {
            array.values().append_slice(list);
            array.append(true);
        }
        self.push(name, false, array.finish());
    }

    pub(crate) fn f32_lists<'a>(&mut self, name: &str, lists: impl Iterator<Item = &'a [f32]>) {
        let mut array = ListBuilder::new(Float32Builder::new()).with_field(item(DataType::Float32));
        for list in lists {
            array.values().append_slice(list);
            array.append(true);
        }
        self.push(name, false, array.finish());
    }

    pub(crate) fn f64_lists(&mut self, name: &str, lists: impl Iterator<Item = Vec<f64>>) {
        let mut array = ListBuilder::new(Float64Builder::new()).with_field(item(DataType::Float64));
        for list in lists {
            array.values().append_slice(&list);
            array.append(true);
        }
        self.push(name, false, array.finish());
    }

    /// A list of JSON values a row, as texts that say so: `datasets` reads them
    /// as the values, each with its own keys and no others.
    pub(crate) fn json_lists(&mut self, name: &str, lists: impl Iterator<Item = Vec<String>>) {
        let field = Field::new("element", DataType::Utf8, false).with_metadata(HashMap::from([
            ("ARROW:extension:name".to_owned(), "arrow.json".to_owned()),
            ("ARROW:extension:metadata".to_owned(), String::new()),
        ]));
        let mut array = ListBuilder::new(StringBuilder::new()).with_field(Arc::new(field));
        for list in lists {
            list.iter().for_each(|json| array.values().append_value(json));
            array.append(true);
        }
        self.push(name, false, array.finish());
    }

    pub(crate) fn bool_lists<'a>(&mut self, name: &str, lists: impl Iterator<Item = &'a [bool]>) {
        let mut array = ListBuilder::new(BooleanBuilder::new()).with_field(item(DataType::Boolean));
        for list in lists {
            array.values().append_slice(list);
            array.append(true);
        }
        self.push(name, false, array.finish());
    }

    pub(crate) fn text_lists<'a>(&mut self, name: &str, lists: impl Iterator<Item = &'a [String]>) {
        let mut array = ListBuilder::new(StringBuilder::new()).with_field(item(DataType::Utf8));
        for list in lists {
            list.iter().for_each(|text| array.values().append_value(text));
            array.append(true);
        }
        self.push(name, false, array.finish());
    }

    /// A list of structs a row: `lengths` says how many of `items`' rows belong
    /// to each.
    pub(crate) fn struct_lists(
        &mut self,
        name: &str,
        lengths: impl Iterator<Item = usize>,
        items: Self,
    ) -> Result<(), Fault> {
        let structs = StructArray::try_new(items.fields.into(), items.arrays, None)?;
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let field = item(structs.data_type().clone());
        self.push(name, false, ListArray::try_new(field, offsets, Arc::new(structs), None)?);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<RecordBatch, Fault> {
        Ok(RecordBatch::try_new(Arc::new(Schema::new(self.fields)), self.arrays)?)
    }
}

fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", kind, false))
}

/// Typed views of the columns of a batch, or of a list's structs.
pub(crate) struct View<'a> {
    names: Vec<&'a str>,
    arrays: &'a [ArrayRef],
}

impl<'a> View<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        let names = batch.schema_ref().fields().iter().map(|field| field.name().as_str());
        Self { names: names.collect(), arrays: batch.columns() }
    }

    /// The structs of a list column, with the list itself for its bounds.
    pub(crate) fn structs(&self, name: &str) -> Result<(&'a ListArray, Self), Fault> {
        let list: &ListArray = self.get(name)?;
        let structs = list.values().as_any().downcast_ref::<StructArray>();
        let structs = structs.ok_or_else(|| wrong_type(name, list.data_type()))?;
        let names = structs.fields().iter().map(|field| field.name().as_str());
        Ok((list, Self { names: names.collect(), arrays: structs.columns() }))
    }

    fn column(&self, name: &str) -> Result<&'a ArrayRef, Fault> {
        let array = self.names.iter().position(|n| *n == name).map(|index| &self.arrays[index]);
        array.ok_or_else(|| Fault::Damaged(format!("it has no column {name:?}")))
    }

    /// Whole numbers, in any of the types that versions of a schema gave them.
    pub(crate) fn whole_numbers(&self, name: &str) -> Result<Vec<u64>, Fault> {
        let array = self.column(name)?;
        let any = array.as_any();
        let damaged = |value: &dyn std::fmt::Display| {
            Fault::Damaged(format!("{value} in the column {name:?} is no whole number"))
        };
        if let Some(numbers) = any.downcast_ref::<UInt64Array>() {
            return Ok(numbers.values().to_vec());
        }
        if let Some(numbers) = any.downcast_ref::<Int64Array>() {
            let whole = |number: &i64| u64::try_from(*number).map_err(|_| damaged(number));
            return numbers.values().iter().map(whole).collect();
        }
        let Some(texts) = any.downcast_ref::<StringArray>() else {
            return Err(wrong_type(name, array.data_type()));
        };
        let whole = |row| texts.value(row).parse().map_err(|_| damaged(&texts.value(row)));
        (0..texts.len()).map(whole).collect()
    }

    /// Numbers of 32 bits, in either of the types that versions of a schema gave them.
    pub(crate) fn floats(&self, name: &str) -> Result<Vec<f32>, Fault> {
        let array = self.column(name)?;
        floats(array).ok_or_else(|| wrong_type(name, array.data_type()))
    }

    pub(crate) fn get<A: Array + 'static>(&self, name: &str) -> Result<&'a A, Fault> {
        let array = self.column(name)?;
        array.as_any().downcast_ref().ok_or_else(|| wrong_type(name, array.data_type()))
    }

    /// A column that earlier versions of a schema did not have.
    pub(crate) fn optional<A: Array + 'static>(&self, name: &str) -> Result<Option<&'a A>, Fault> {
        self.has(name).then(|| self.get(name)).transpose()
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a StringArray, Fault> {
        self.get(name)
    }

    /// Whether there is such a column.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }
}

fn wrong_type(name: &str, found: &DataType) -> Fault {
    Fault::Damaged(format!("the column {name:?} is of type {found}"))
}

/// The bounds of row `row` of a list.
pub(crate) fn bounds(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Row `row` of a list of numbers.
pub(crate) fn numbers<T: ArrowPrimitiveType>(
    list: &ListArray,
    row: usize,
) -> Result<Vec<T::Native>, Fault> {
    let values = list.values().as_any().downcast_ref::<PrimitiveArray<T>>();
    let values = values.ok_or_else(|| wrong_type("list", list.data_type()))?;
    Ok(values.values()[bounds(list, row)].to_vec())
}

fn floats(array: &ArrayRef) -> Option<Vec<f32>> {
    if let Some(numbers) = array.as_any().downcast_ref::<Float32Array>() {
        return Some(numbers.values().to_vec());
    }
    let numbers = array.as_any().downcast_ref::<Float64Array>()?;
    Some(numbers.values().iter().map(|number| *number as f32).collect())
}

/// Row `row` of a list of numbers of 32 bits, whichever way they are stored.
pub(crate) fn float_list(list: &ListArray, row: usize) -> Result<Vec<f32>, Fault> {
    let row = list.value(row);
    floats(&row).ok_or_else(|| wrong_type("list", list.data_type()))
}

/// Row `row` of a list of truth values.
pub(crate) fn bools(list: &ListArray, row: usize) -> Result<Vec<bool>, Fault> {
    let values = list.values().as_any().downcast_ref::<BooleanArray>();
    let values = values.ok_or_else(|| wrong_type("list", list.data_type()))?;
    Ok(bounds(list, row).map(|index| values.value(index)).collect())
}

/// Row `row` of a list of texts.
pub(crate) fn texts(list: &ListArray, row: usize) -> Result<Vec<String>, Fault> {
    let values = list.values().as_any().downcast_ref::<StringArray>();
    let values = values.ok_or_else(|| wrong_type("list", list.data_type()))?;
    Ok(bounds(list, row).map(|index| values.value(index).to_owned()).collect())
}

/// Row `row` of a nullable text column.
pub(crate) fn optional(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

/// Parses a text of a column that holds ids, digests or names.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: T::Err| Fault::Damaged(error.to_string()))
}
