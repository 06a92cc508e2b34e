# Interrupts the main interpreter (`_thread.interrupt_main`).
import _thread

_thread.interrupt_main()
