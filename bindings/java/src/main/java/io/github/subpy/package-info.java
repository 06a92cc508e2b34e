/**
 * Many isolated Python interpreters in one JVM. {@link io.github.subpy.Subpy} makes them, {@link
 * io.github.subpy.Interpreter} runs Python code in one.
 *
 * @serial exclude
 */
package io.github.subpy;
