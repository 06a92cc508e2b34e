# Sets another locale, other limits for numbers' digits, and no mode for new files.
import locale, os, sys

locale.setlocale(locale.LC_ALL, "C")
sys.set_int_max_str_digits(640)
os.umask(0o777)
