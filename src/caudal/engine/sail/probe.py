"""Evaluates Spark's expressions row by row: a query would end with the first row that raises."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from caudal.engine.sail.results import NAN, error_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Each row's value as an expression of Python, or "!" and the first line of the error. Doubles are given by their bits.
_JAVA = r"""
import org.apache.spark.sql.catalyst.expressions.*;
import org.apache.spark.sql.catalyst.util.*;
import org.apache.spark.sql.types.*;

public class Probe {
  public String evaluate(Object projection, Object rows, Object kind) {
    UnsafeProjection project = (UnsafeProjection) projection;
    Object[] all = (Object[]) rows;
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < all.length; i++) {
      int start = out.length();
      try {
        UnsafeRow row = (UnsafeRow) project.apply(all[i]);
        write(out, row, 0, (DataType) kind);
      } catch (Throwable error) {
        out.setLength(start);
        String[] lines = String.valueOf(error.getMessage()).split("\\n");
        out.append("!");
        out.append(lines.length > 0 ? lines[0].replace('\u0001', ' ') : "");
      }
      out.append('\u0001');
    }
    return out.toString();
  }

  private void write(StringBuilder out, SpecializedGetters from, int place, DataType kind) {
    if (from.isNullAt(place)) { out.append("None"); return; }
    if (kind instanceof BooleanType) out.append(from.getBoolean(place) ? "True" : "False");
    else if (kind instanceof ByteType) out.append(String.valueOf((int) from.getByte(place)));
    else if (kind instanceof ShortType) out.append(String.valueOf((int) from.getShort(place)));
    else if (kind instanceof IntegerType || kind instanceof DateType || kind instanceof YearMonthIntervalType) out.append(String.valueOf(from.getInt(place)));
    else if (kind instanceof LongType || kind instanceof TimestampType || kind instanceof TimestampNTZType || kind instanceof DayTimeIntervalType)
      out.append(String.valueOf(from.getLong(place)));
    else if (kind instanceof FloatType) out.append("F(" + String.valueOf(Float.floatToRawIntBits(from.getFloat(place))) + ")");
    else if (kind instanceof DoubleType) out.append("D(" + String.valueOf(Double.doubleToRawLongBits(from.getDouble(place))) + ")");
    else if (kind instanceof DecimalType) {
      DecimalType decimal = (DecimalType) kind;
      out.append("'" + from.getDecimal(place, decimal.precision(), decimal.scale()).toJavaBigDecimal().toString() + "'");
    }
    else if (kind instanceof StringType) bytes(out, from.getUTF8String(place).getBytes());
    else if (kind instanceof BinaryType) bytes(out, from.getBinary(place));
    else if (kind instanceof ArrayType) {
      ArrayData array = from.getArray(place);
      out.append("(");
      for (int i = 0; i < array.numElements(); i++) { write(out, array, i, ((ArrayType) kind).elementType()); out.append(","); }
      out.append(")");
    }
    else if (kind instanceof MapType) {
      MapData map = from.getMap(place);
      out.append("(");
      for (int i = 0; i < map.numElements(); i++) {
        out.append("(");
        write(out, map.keyArray(), i, ((MapType) kind).keyType());
        out.append(",");
        write(out, map.valueArray(), i, ((MapType) kind).valueType());
        out.append("),");
      }
      out.append(")");
    }
    else if (kind instanceof StructType) {
      StructField[] fields = ((StructType) kind).fields();
      org.apache.spark.sql.catalyst.InternalRow row = from.getStruct(place, fields.length);
      out.append("(");
      for (int i = 0; i < fields.length; i++) { write(out, row, i, fields[i].dataType()); out.append(","); }
      out.append(")");
    }
    else throw new RuntimeException("a type that is not compared: " + kind.toString());
  }

  private void bytes(StringBuilder out, byte[] value) {
    out.append("B('");
    for (int i = 0; i < value.length; i++) { out.append(Character.forDigit((value[i] >> 4) & 15, 16)); out.append(Character.forDigit(value[i] & 15, 16)); }
    out.append("')");
  }
}
"""


def _double(bits: int) -> str:
    return _hexadecimal(struct.unpack("d", struct.pack("q", bits))[0])


def _float(bits: int) -> str:
    return _hexadecimal(struct.unpack("f", struct.pack("i", bits))[0])


def _hexadecimal(value: float) -> str:
    return NAN if value != value else value.hex()


_NAMES: dict[str, Any] = {"__builtins__": {}, "D": _double, "F": _float, "B": bytes.fromhex}


class Probe:
    """Evaluates expressions over the view ``t``."""

    def __init__(self, spark: SparkSession) -> None:
        """Compile what evaluates, and hold the rows in Java."""
        self.spark = spark
        jvm: Any = spark.sparkContext._jvm
        self.jvm: Any = jvm
        compiler = self.jvm.org.codehaus.janino.SimpleCompiler()
        compiler.setParentClassLoader(self.jvm.java.lang.Thread.currentThread().getContextClassLoader())
        name = f"Probe{uuid.uuid4().hex}"  # py4j remembers the methods of a class by its name
        compiler.cook(_JAVA.replace("Probe", name))
        gateway: Any = spark.sparkContext._gateway
        none = gateway.new_array(self.jvm.java.lang.Class, 0), gateway.new_array(self.jvm.java.lang.Object, 0)
        self.probe: Any = compiler.getClassLoader().loadClass(name).getDeclaredConstructor(none[0]).newInstance(none[1])
        table: Any = spark.table("t")._jdf.queryExecution()
        self.rows = table.executedPlan().executeCollect()
        self.ids = [row["id"] for row in spark.table("t").select("id").collect()]

    def evaluate(self, expressions: Sequence[str]) -> list[tuple[dict[int, Hashable], dict[int, str]]]:
        """Return for each expression its values, and the first line of the error of each row that raises, both by the row's number."""
        frame: Any = self.spark.sql(f"SELECT {', '.join(f'{sql} AS r{place}' for place, sql in enumerate(expressions))} FROM t")  # noqa: S608
        catalyst = self.jvm.org.apache.spark.sql.catalyst
        # Expressions that the optimizer replaces cannot be evaluated by themselves.
        plan = getattr(getattr(catalyst.optimizer, "ReplaceExpressions$"), "MODULE$").apply(frame._jdf.queryExecution().analyzed())
        if plan.child().getClass().getSimpleName() == "Generate":
            raise ValueError("a generator has no value for each row")
        answers = []
        for place in range(len(expressions)):
            expression = plan.projectList().apply(place)
            single = catalyst.expressions.UnsafeProjection.create(plan.projectList().slice(place, place + 1), plan.child().output())
            cells = self.probe.evaluate(single, self.rows, expression.dataType()).split("\u0001")[:-1]
            values = {row: eval(cell, _NAMES) for row, cell in zip(self.ids, cells, strict=True) if not cell.startswith("!")}  # noqa: S307
            raised = {row: error_line(cell[1:]) for row, cell in zip(self.ids, cells, strict=True) if cell.startswith("!")}
            answers.append((values, raised))
        return answers
