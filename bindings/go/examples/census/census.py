# census(file) looks at one of them. The complexity of a function is McCabe's: one, plus one for each place where its
# control flow branches: if and elif, conditional expression, for, while, except, a case that can fail to match, the
# for and each if of a comprehension, each "and" and "or". Functions inside a function count for themselves, lambdas
# and class bodies for the function around them. The walk keeps its own stack, so no tree is too deep for it.
import ast, heapq, warnings
warnings.simplefilter('ignore')     # they are about the analysed code: invalid escapes and the like

FUNCTION = ast.FunctionDef, ast.AsyncFunctionDef
BRANCHES = dict.fromkeys((ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler),
                         lambda node: 1)
BRANCHES[ast.comprehension] = lambda node: 1 + len(node.ifs)
BRANCHES[ast.BoolOp] = lambda node: len(node.values) - 1
BRANCHES[ast.match_case] = lambda node: not always_matches(node)

def always_matches(case):
    return isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is case.guard is None

def survey(tree, file):
    count = dict.fromkeys(('classes', 'imports', 'documentable', 'documented'), 0)
    functions = []
    todo = [(tree, '', {'complexity': 0})]      # node, its scope, the function it counts for
    while todo:
        node, scope, function = todo.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTION)):
            count['documentable'] += 1
            count['documented'] += ast.get_docstring(node, clean=False) is not None
            count['classes'] += isinstance(node, ast.ClassDef)
            if isinstance(node, FUNCTION):
                function = {'name': scope + node.name, 'file': file, 'line': node.lineno, 'complexity': 1}
                functions.append(function)
            if not isinstance(node, ast.Module):
                scope += node.name + '.'
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            count['imports'] += 1
        elif branches := BRANCHES.get(type(node)):
            function['complexity'] += branches(node)
        todo += [(child, scope, function) for child in ast.iter_child_nodes(node)]
    count['functions'] = len(functions)
    count['complexity'] = sum(function['complexity'] for function in functions)
    count['worst'] = heapq.nlargest(10, functions, key=lambda f: (f['complexity'], -f['line']))
    return count

def census(file):
    try:
        with open(file['path'], 'rb') as stream:
            source = stream.read()
        tree = ast.parse(source)
    except Exception as error:      # unreadable, not Python, nested too deeply: a finding like any other
        text = getattr(error, 'msg', None) or getattr(error, 'strerror', None) or str(error)
        if isinstance(error, RecursionError):
            text = 'nested too deeply'      # its own text says how much stack was used: never twice the same
        line = getattr(error, 'lineno', None)
        reason = f'{type(error).__name__}: {text}' + (f', line {line}' if line else '')
        return {'file': file['name'], 'reason': reason if reason.isprintable() else ascii(reason)[1:-1]}
    return survey(tree, file['name']) | {'lines': len(source.splitlines())}
