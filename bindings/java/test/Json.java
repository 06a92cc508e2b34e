import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, Strings, BigDecimals, Booleans and null: as much as the table of cases needs. */
final class Json {
  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  static Object parse(String text) {
    Json json = new Json(text);
    Object value = json.value();
    if (json.peek() != '\0') {
      throw json.wrong();
    }
    return value;
  }

  private Object value() {
    return switch (peek()) {
      case '{' -> object();
      case '[' -> array();
      case '"' -> string();
      case 't' -> word("true", true);
      case 'f' -> word("false", false);
      case 'n' -> word("null", null);
      default -> number();
    };
  }

  private Map<String, Object> object() {
    Map<String, Object> members = new LinkedHashMap<>();
    at++;
    for (boolean first = true; !accept('}'); first = false) {
      if (!first) {
        expect(',');
      }
      if (peek() != '"') {
        throw wrong();
      }
      String name = string();
      expect(':');
      members.put(name, value());
    }
    return members;
  }

  private List<Object> array() {
    List<Object> items = new ArrayList<>();
    at++;
    for (boolean first = true; !accept(']'); first = false) {
      if (!first) {
        expect(',');
      }
      items.add(value());
    }
    return items;
  }

  private String string() {
    StringBuilder string = new StringBuilder();
    at++;
    for (char next; (next = text.charAt(at++)) != '"'; ) {
      if (next != '\\') {
        string.append(next);
        continue;
      }
      char escape = text.charAt(at++);
      if (escape == 'u') {
        string.append((char) Integer.parseInt(text, at, at + 4, 16));
        at += 4;
        continue;
      }
      int index = "\"\\/bfnrt".indexOf(escape);
      if (index < 0) {
        throw wrong();
      }
      string.append("\"\\/\b\f\n\r\t".charAt(index));
    }
    return string.toString();
  }

  private Object number() {
    int start = at;
    while (at < text.length() && "+-.0123456789Ee".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    if (start == at) {
      throw wrong();
    }
    return new BigDecimal(text.substring(start, at));
  }

  private Object word(String word, Object value) {
    if (!text.startsWith(word, at)) {
      throw wrong();
    }
    at += word.length();
    return value;
  }

  /** The next character that is no space; U+0000 at the end. */
  private char peek() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    return at < text.length() ? text.charAt(at) : '\0';
  }

  private boolean accept(char wanted) {
    boolean there = peek() == wanted;
    at += there ? 1 : 0;
    return there;
  }

  private void expect(char wanted) {
    if (!accept(wanted)) {
      throw wrong();
    }
  }

  private IllegalArgumentException wrong() {
    return new IllegalArgumentException("no JSON at character " + at);
  }
}
