/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a pattern matches what its documentation says, and nothing else.
 * Method: tables of pattern, event and verdict, operator by operator. test_pattern_payload.c goes on with payloads,
 * bounds and sets; what a pattern may look like is in test_pattern_compile.c; test_pattern_reference.c draws both.
 */
#include "../../lib/test.h"
#include "pattern_kit.h"

TEST(pattern, names_must_all_match_and_values_any)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'city':['Bonn'],'day':['Monday']}}", "{'city':'Bonn','day':'Monday'}", YES),
        DATA("{'data':{'city':['Bonn'],'day':['Monday']}}", "{'city':'Bonn','day':'Friday'}", NO),
        DATA("{'data':{'city':['Bonn'],'day':['Monday']}}", "{'day':'Monday'}", NO),
        DATA("{'data':{'pay':['card','cash']}}", "{'pay':'cash','x':1}", YES),
        DATA("{'data':{'pay':['card','cash']}}", "{'pay':'cheque'}", NO),
        DATA("{'data':{'pay':['card']}}", "{'other':{'pay':'card'},'Pay':'card'}", NO),
        DATA("{'data':{'a':{'b':{'c':[1]}}}}", "{'a':{'x':0,'b':{'c':1}}}", YES),
        DATA("{'data':{'a':{'b':{'c':[1]}}}}", "{'a':{'b':1},'b':{'c':1},'c':1}", NO),
        DATA("{'data':{'a.b':[1]}}", "{'a.b':1}", YES),
        DATA("{'data':{'a.b':[1]}}", "{'a':{'b':1}}", NO),
        DATA("{'data':{'':[1]}}", "{'':1}", YES),
        DATA("{'data':{'data':{'key':[1]}}}", "{'data':{'key':1}}", YES),
        DATA("{'data':{'data':{'key':[1]}}}", "{'key':1}", NO),
        DATA("{'data':['plain']}", "'plain'", YES),
        DATA("{'data':[7]}", " 7 ", YES),
        DATA("{'data':[7]}", "{'data':7}", NO),
    };
    KIT_CHECK(rows);
}

TEST(pattern, exact_values_are_equal_in_kind_too)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'v':['Ada']}}", "{'v':'Ada'}", YES),
        DATA("{'data':{'v':['Ada']}}", "{'v':'ada'}", NO),
        DATA("{'data':{'v':['Ada']}}", "{'v':'Ada '}", NO),
        DATA("{'data':{'v':['']}}", "{'v':''}", YES),
        DATA("{'data':{'v':['']}}", "{'v':null}", NO),
        DATA("{'data':{'v':[null]}}", "{'v':null}", YES),
        DATA("{'data':{'v':[null]}}", "{'v':''}", NO),
        DATA("{'data':{'v':[null]}}", "{}", NO),
        DATA("{'data':{'v':[null]}}", "{'v':'null'}", NO),
        DATA("{'data':{'v':[true]}}", "{'v':true}", YES),
        DATA("{'data':{'v':[true]}}", "{'v':'true'}", NO),
        DATA("{'data':{'v':[true]}}", "{'v':false}", NO),
        DATA("{'data':{'v':[false]}}", "{'v':false}", YES),
        DATA("{'data':{'v':[false]}}", "{'v':0}", NO),
        DATA("{'data':{'v':[5]}}", "{'v':'5'}", NO),
        DATA("{'data':{'v':['5']}}", "{'v':5}", NO),
        DATA("{'data':{'v':['a\\'\\\\\\n\\u00e4']}}", "{'v':'a\\u0022\\\\\\u000A\xc3\xa4'}", YES),
        DATA("{'data':{'v':['\xf0\x9f\x98\x80']}}", "{'v':'\\uD83D\\uDE00'}", YES),
        DATA("{'data':{'v':['\xf0\x9f\x98\x80']}}", "{'v':'\\uD83D\\uDE01'}", NO),
        DATA("{'data':{'v':['a\\u0000b']}}", "{'v':'a\\u0000b'}", YES),
        DATA("{'data':{'v':['a\\u0000b']}}", "{'v':'a'}", NO),
        DATA("{'data':{'n\\u00e4me':[1]}}", "{'n\xc3\xa4me':1}", YES),
        DATA("{'data':{'n\xc3\xa4me':[1]}}", "{'\\u006e\\u00e4me':1}", YES),
        DATA("{'data':{'n\xc3\xa4me':[1]}}", "{'\\u006d\\u00e4me':1}", NO),
    };
    KIT_CHECK(rows);
}

TEST(pattern, numbers_are_equal_by_value)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'n':[300]}}", "{'n':300}", YES),
        DATA("{'data':{'n':[300]}}", "{'n':300.0}", YES),
        DATA("{'data':{'n':[300]}}", "{'n':3.0e2}", YES),
        DATA("{'data':{'n':[3e2]}}", "{'n':30000e-2}", YES),
        DATA("{'data':{'n':[300]}}", "{'n':-300}", NO),
        DATA("{'data':{'n':[300]}}", "{'n':300.0000000000000000000000000001}", NO),
        DATA("{'data':{'n':[0]}}", "{'n':-0.0e5}", YES),
        DATA("{'data':{'n':[0.05]}}", "{'n':5E-2}", YES),
        DATA("{'data':{'n':[0.1]}}", "{'n':0.1000000000000000055511151231257827}", NO),
        DATA("{'data':{'n':[12345678901234567890123]}}", "{'n':12345678901234567890123}", YES),
        DATA("{'data':{'n':[12345678901234567890123]}}", "{'n':12345678901234567890124}", NO),
        DATA("{'data':{'n':[1e9998]}}", "{'n':1e99999999999999999999999999}", NO),
        DATA("{'data':{'n':[0]}}", "{'n':0e99999999999999999999999999}", YES),
        DATA("{'data':{'n':[{'numeric':['>',1e9998]}]}}", "{'n':1e99999999999999999999999999}", YES),
        DATA("{'data':{'n':[{'numeric':['<',1e-9998]}]}}", "{'n':1e-99999999999999999999999999}", YES),
    };
    KIT_CHECK(rows);
}

TEST(pattern, numeric_bounds)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'n':[{'numeric':['>',0,'<=',5]}]}}", "{'n':0}", NO),
        DATA("{'data':{'n':[{'numeric':['>',0,'<=',5]}]}}", "{'n':0.000001}", YES),
        DATA("{'data':{'n':[{'numeric':['>',0,'<=',5]}]}}", "{'n':5.0}", YES),
        DATA("{'data':{'n':[{'numeric':['>',0,'<=',5]}]}}", "{'n':5.000001}", NO),
        DATA("{'data':{'n':[{'numeric':['<',10]}]}}", "{'n':9.99}", YES),
        DATA("{'data':{'n':[{'numeric':['<',10]}]}}", "{'n':10}", NO),
        DATA("{'data':{'n':[{'numeric':['<',10]}]}}", "{'n':-1e30}", YES),
        DATA("{'data':{'n':[{'numeric':['<=',-10]}]}}", "{'n':-9}", NO),
        DATA("{'data':{'n':[{'numeric':['>=',-10]}]}}", "{'n':-10.0}", YES),
        DATA("{'data':{'n':[{'numeric':['>=',-10]}]}}", "{'n':-10.5}", NO),
        DATA("{'data':{'n':[{'numeric':['=',3.018e2]}]}}", "{'n':301.8}", YES),
        DATA("{'data':{'n':[{'numeric':['=',3.018e2]}]}}", "{'n':301.80000000000001}", NO),
        DATA("{'data':{'n':[{'numeric':['<',5,'>',1]}]}}", "{'n':3}", YES),
        DATA("{'data':{'n':[{'numeric':['>=',5,'<=',5]}]}}", "{'n':5}", YES),
        DATA("{'data':{'n':[{'numeric':['>',0]}]}}", "{'n':'5'}", NO),
        DATA("{'data':{'n':[{'numeric':['>',0]}]}}", "{'n':null}", NO),
        DATA("{'data':{'n':[{'numeric':['>',0]}]}}", "{'n':{'n':5}}", NO),
        DATA("{'data':{'n':[{'numeric':['<',0]},{'numeric':['>',9]}]}}", "{'n':10}", YES),
        DATA("{'data':{'n':[{'numeric':['<',0]},{'numeric':['>',9]}]}}", "{'n':7}", NO),
        DATA("{'data':{'n':[{'numeric':['>',0]},{'numeric':['>',9]}]}}", "{'n':[-1,12]}", YES),
    };
    KIT_CHECK(rows);
}

TEST(pattern, prefix_and_suffix)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'t':[{'prefix':'2026-03-'}]}}", "{'t':'2026-03-14T12:00:00Z'}", YES),
        DATA("{'data':{'t':[{'prefix':'2026-03-'}]}}", "{'t':'2026-04-14'}", NO),
        DATA("{'data':{'t':[{'prefix':'2026-03-'}]}}", "{'t':'2026-03'}", NO),
        DATA("{'data':{'t':[{'prefix':''}]}}", "{'t':''}", YES),
        DATA("{'data':{'t':[{'prefix':'2'}]}}", "{'t':2026}", NO),
        DATA("{'data':{'t':[{'prefix':'a\\'b'}]}}", "{'t':'a\\'bc'}", YES),
        DATA("{'data':{'t':[{'prefix':'a\\'b'}]}}", "{'t':'a\\''}", NO),
        DATA("{'data':{'f':[{'suffix':'.png'}]}}", "{'f':'me.png'}", YES),
        DATA("{'data':{'f':[{'suffix':'.png'}]}}", "{'f':'.png'}", YES),
        DATA("{'data':{'f':[{'suffix':'.png'}]}}", "{'f':'png'}", NO),
        DATA("{'data':{'f':[{'suffix':'.png'}]}}", "{'f':'me.png.bak'}", NO),
        DATA("{'data':{'f':[{'suffix':'\xc3\xa4/'}]}}", "{'f':'x\\u00e4\\/'}", YES),
        DATA("{'data':{'f':[{'suffix':'\xc3\xa4/'}]}}", "{'f':'\\u00e4\\\\'}", NO),
        DATA("{'data':{'f':[{'suffix':'abc'}]}}", "{'f':'\\u0062c'}", NO),
        DATA("{'data':{'s':[{'prefix':{'equals-ignore-case':'EventL'}}]}}", "{'s':'eVENTLog'}", YES),
        DATA("{'data':{'s':[{'prefix':{'equals-ignore-case':'EventL'}}]}}", "{'s':'event'}", NO),
        DATA("{'data':{'s':[{'prefix':{'equals-ignore-case':'EventL'}}]}}", "{'s':'event-log'}", NO),
        DATA("{'data':{'s':[{'suffix':{'equals-ignore-case':'.Png'}}]}}", "{'s':'A.pNG'}", YES),
        DATA("{'data':{'s':[{'suffix':{'equals-ignore-case':'.Png'}}]}}", "{'s':'A.pNG '}", NO),
        DATA("{'data':{'s':[{'suffix':{'equals-ignore-case':'STRA\xc3\x9f"
             "E'}}]}}",
             "{'s':'Hauptstra\\u1e9ee'}", YES),
    };
    KIT_CHECK(rows);
}

TEST(pattern, case_is_ignored_beyond_ascii)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'s':[{'equals-ignore-case':'alice'}]}}", "{'s':'ALICE'}", YES),
        DATA("{'data':{'s':[{'equals-ignore-case':'ALICE'}]}}", "{'s':'\\u0041lice'}", YES),
        DATA("{'data':{'s':[{'equals-ignore-case':'alice'}]}}", "{'s':'alic'}", NO),
        DATA("{'data':{'s':[{'equals-ignore-case':'alice'}]}}", "{'s':'alices'}", NO),
        DATA("{'data':{'s':[{'equals-ignore-case':'\xc3\x84rger'}]}}", "{'s':'\xc3\xa4RGER'}", YES),
        DATA("{'data':{'s':[{'equals-ignore-case':'\xce\xa9\xce\xbc\xce\xad\xce\xb3\xce\xb1'}]}}",
             "{'s':'\xcf\x89\xce\x9c\xce\x88\xce\x93\xce\x91'}", YES),
        DATA("{'data':{'s':[{'equals-ignore-case':'\xd0\x96\xd1\x83\xd0\xba'}]}}", "{'s':'\xd0\xb6\xd0\xa3\xd0\x9a'}",
             YES),
        DATA("{'data':{'s':[{'equals-ignore-case':'\xd0\x96'}]}}", "{'s':'\xd0\xb7'}", NO),
        DATA("{'data':{'s':[{'equals-ignore-case':'1'}]}}", "{'s':1}", NO),
        DATA("{'data':{'s':[{'equals-ignore-case':'['}]}}", "{'s':'{'}", NO),
    };
    KIT_CHECK(rows);
}

TEST(pattern, wildcard)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'f':[{'wildcard':'dir/*.png'}]}}", "{'f':'dir/a/b.png'}", YES),
        DATA("{'data':{'f':[{'wildcard':'dir/*.png'}]}}", "{'f':'dir/.png'}", YES),
        DATA("{'data':{'f':[{'wildcard':'dir/*.png'}]}}", "{'f':'dir/a.pngx'}", NO),
        DATA("{'data':{'f':[{'wildcard':'dir/*.png'}]}}", "{'f':'/dir/a.png'}", NO),
        DATA("{'data':{'f':[{'wildcard':'*'}]}}", "{'f':''}", YES),
        DATA("{'data':{'f':[{'wildcard':'*'}]}}", "{'f':5}", NO),
        DATA("{'data':{'f':[{'wildcard':''}]}}", "{'f':''}", YES),
        DATA("{'data':{'f':[{'wildcard':''}]}}", "{'f':'a'}", NO),
        DATA("{'data':{'f':[{'wildcard':'plain'}]}}", "{'f':'plain'}", YES),
        DATA("{'data':{'f':[{'wildcard':'plain'}]}}", "{'f':'plainer'}", NO),
        DATA("{'data':{'f':[{'wildcard':'*a*b*'}]}}", "{'f':'xaxxbx'}", YES),
        DATA("{'data':{'f':[{'wildcard':'*a*b*'}]}}", "{'f':'xbxxax'}", NO),
        DATA("{'data':{'f':[{'wildcard':'a*aa'}]}}", "{'f':'aaaaa'}", YES),
        DATA("{'data':{'f':[{'wildcard':'a*aa'}]}}", "{'f':'aa'}", NO),
        DATA("{'data':{'f':[{'wildcard':'*ab'}]}}", "{'f':'aabab'}", YES),
        DATA("{'data':{'f':[{'wildcard':'ab*bc'}]}}", "{'f':'abbc'}", YES),
        DATA("{'data':{'f':[{'wildcard':'ab*bc'}]}}", "{'f':'abc'}", NO),
        DATA("{'data':{'f':[{'wildcard':'a\\\\*b*'}]}}", "{'f':'a*bc'}", YES),
        DATA("{'data':{'f':[{'wildcard':'a\\\\*b*'}]}}", "{'f':'axbc'}", NO),
        DATA("{'data':{'f':[{'wildcard':'a\\\\\\\\*'}]}}", "{'f':'a\\\\b'}", YES),
        DATA("{'data':{'f':[{'wildcard':'a\\\\\\\\*'}]}}", "{'f':'ab'}", NO),
        DATA("{'data':{'f':[{'wildcard':'\\\\**\\\\*'}]}}", "{'f':'**'}", YES),
        DATA("{'data':{'f':[{'wildcard':'\\\\**\\\\*'}]}}", "{'f':'*'}", NO),
        DATA("{'data':{'f':[{'wildcard':'\xc3\xa4*\xc3\xb6'}]}}", "{'f':'\\u00e4\xe2\x82\xac\\u00f6'}", YES),
        DATA("{'data':{'f':[{'wildcard':'*?'}]}}", "{'f':'ab'}", NO),
    };
    KIT_CHECK(rows);
}

TEST(pattern, anything_but)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{'s':'old'}", YES),
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{'s':'new'}", NO),
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{'s':7}", YES),
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{'s':null}", YES),
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{}", NO),
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{'s':{}}", NO),
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{'s':[]}", NO),
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{'s':['new','old']}", YES),
        DATA("{'data':{'s':[{'anything-but':'new'}]}}", "{'s':['new','new']}", NO),
        DATA("{'data':{'n':[{'anything-but':123}]}}", "{'n':123.0}", NO),
        DATA("{'data':{'n':[{'anything-but':123}]}}", "{'n':124}", YES),
        DATA("{'data':{'n':[{'anything-but':123}]}}", "{'n':'123'}", YES),
        DATA("{'data':{'s':[{'anything-but':['a','b']}]}}", "{'s':'b'}", NO),
        DATA("{'data':{'s':[{'anything-but':['a','b']}]}}", "{'s':'c'}", YES),
        DATA("{'data':{'n':[{'anything-but':[100,200,300]}]}}", "{'n':2e2}", NO),
        DATA("{'data':{'n':[{'anything-but':[100,200,300]}]}}", "{'n':201}", YES),
        DATA("{'data':{'n':[{'anything-but':[null,'']}]}}", "{'n':null}", NO),
        DATA("{'data':{'n':[{'anything-but':[null,'']}]}}", "{'n':false}", YES),
        DATA("{'data':{'n':[{'anything-but':true}]}}", "{'n':true}", NO),
        DATA("{'data':{'s':[{'anything-but':{'prefix':'init'}}]}}", "{'s':'initial'}", NO),
        DATA("{'data':{'s':[{'anything-but':{'prefix':'init'}}]}}", "{'s':'in'}", YES),
        DATA("{'data':{'s':[{'anything-but':{'prefix':'init'}}]}}", "{'s':4}", YES),
        DATA("{'data':{'s':[{'anything-but':{'prefix':['a','b']}}]}}", "{'s':'bc'}", NO),
        DATA("{'data':{'s':[{'anything-but':{'prefix':{'equals-ignore-case':'IN'}}}]}}", "{'s':'init'}", NO),
        DATA("{'data':{'s':[{'anything-but':{'suffix':'.txt'}}]}}", "{'s':'a.txt'}", NO),
        DATA("{'data':{'s':[{'anything-but':{'suffix':['.txt','.rtf']}}]}}", "{'s':'a.png'}", YES),
        DATA("{'data':{'s':[{'anything-but':{'equals-ignore-case':'new'}}]}}", "{'s':'NeW'}", NO),
        DATA("{'data':{'s':[{'anything-but':{'equals-ignore-case':['new','old']}}]}}", "{'s':'older'}", YES),
        DATA("{'data':{'s':[{'anything-but':{'wildcard':'*/lib/*'}}]}}", "{'s':'/usr/lib/x'}", NO),
        DATA("{'data':{'s':[{'anything-but':{'wildcard':['*/lib/*','*.so']}}]}}", "{'s':'/bin/sh'}", YES),
        DATA("{'data':{'s':[{'anything-but':'a'},'a']}}", "{'s':'a'}", YES),
    };
    KIT_CHECK(rows);
}

TEST(pattern, exists_asks_for_a_value_and_not_for_a_branch)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'a':[{'exists':true}]}}", "{'a':0}", YES),
        DATA("{'data':{'a':[{'exists':true}]}}", "{'a':null}", YES),
        DATA("{'data':{'a':[{'exists':true}]}}", "{'a':[1]}", YES),
        DATA("{'data':{'a':[{'exists':true}]}}", "{'a':{'b':1}}", NO),
        DATA("{'data':{'a':[{'exists':true}]}}", "{'a':[]}", NO),
        DATA("{'data':{'a':[{'exists':true}]}}", "{'b':1}", NO),
        DATA("{'data':{'a':[{'exists':false}]}}", "{'b':1}", YES),
        DATA("{'data':{'a':[{'exists':false}]}}", "{'a':null}", NO),
        DATA("{'data':{'a':[{'exists':false}]}}", "{'a':{'b':1}}", YES),
        DATA("{'data':{'a':[{'exists':false}]}}", "{'a':[[],{}]}", YES),
        DATA("{'data':{'a':[{'exists':false}]}}", "{'a':[[],{},0]}", NO),
        DATA("{'data':{'a':[{'exists':false}]}}", "5", YES),
        DATA("{'data':{'a':{'b':{'c':[{'exists':false}]}}}}", "{}", YES),
        DATA("{'data':{'a':{'b':{'c':[{'exists':false}]}}}}", "{'a':5}", YES),
        DATA("{'data':{'a':{'b':{'c':[{'exists':false}]}}}}", "{'a':{'b':{'d':1}}}", YES),
        DATA("{'data':{'a':{'b':{'c':[{'exists':false}]}}}}", "{'a':{'b':{'c':1}}}", NO),
        DATA("{'data':{'a':{'b':[{'exists':false}],'c':[1]}}}", "{'a':{'c':1}}", YES),
        DATA("{'data':{'a':{'b':[{'exists':false}],'c':[1]}}}", "{}", NO),
        DATA("{'data':{'a':[{'exists':false},'new']}}", "{}", YES),
        DATA("{'data':{'a':[{'exists':false},'new']}}", "{'a':'new'}", YES),
        DATA("{'data':{'a':[{'exists':false},'new']}}", "{'a':'old'}", NO),
        DATA("{'data':{'a':[{'exists':true},{'exists':false}]}}", "{'a':'old'}", YES),
    };
    KIT_CHECK(rows);
}

TEST(pattern, an_object_of_a_pattern_is_about_one_element)
{
    static const char both[] = "{'data':{'people':{'first':['Anna'],'last':['Jones']}}}";
    static const char people[] = "{'people':[{'first':'Anna','last':'Smith'},{'first':'Peter','last':'Jones'}]}";
    static const struct kit_row rows[] = {
        DATA("{'data':{'tags':['b']}}", "{'tags':['a','b']}", YES),
        DATA("{'data':{'tags':['b']}}", "{'tags':['a',[['b']]]}", YES),
        DATA("{'data':{'tags':['b']}}", "{'tags':['a',{'tags':'b'}]}", NO),
        DATA("{'data':{'people':{'first':['Anna']}}}", people, YES),
        DATA("{'data':{'people':{'first':['Anna'],'last':['Smith']}}}", people, YES),
        DATA("{'data':{'people':{'last':['Jones'],'first':['Peter']}}}", people, YES),
        DATA(both, people, NO),
        DATA(both, "{'people':[[{'first':'Anna','last':'X'}],[[{'last':'Jones','first':'Anna'}]]]}", YES),
        DATA(both, "{'people':[{'first':'Anna'},{'last':'Jones'}]}", NO),
        DATA(both, "{'people':{'first':['Eve','Anna'],'last':['Jones']}}", YES),
        DATA("{'data':{'a':{'b':{'c':[1],'d':[2]}}}}", "{'a':[{'b':[{'c':1},{'d':2}]},{'b':{'c':1,'d':3}}]}", NO),
        DATA("{'data':{'a':{'b':{'c':[1],'d':[2]}}}}", "{'a':[{'b':[{'c':1},{'d':2,'c':1}]},{'b':0}]}", YES),
        DATA("{'data':{'a':{'b':{'c':[1]},'e':[5]}}}", "{'a':[{'b':{'c':1}},{'e':5}]}", NO),
        DATA("{'data':{'people':{'nick':[{'exists':false}]}}}", "{'people':[{'nick':'x'},{'first':'y'}]}", YES),
        DATA("{'data':{'people':{'nick':[{'exists':false}]}}}", "{'people':[{'nick':'x'},{'nick':'y'}]}", NO),
        DATA("{'data':{'people':{'nick':[{'exists':false}]}}}", "{'people':[]}", YES),
        DATA("{'data':{'a':[1]}}", "[{'a':2},{'a':1}]", YES),
        DATA("{'data':[3]}", "[1,[2,3]]", YES),
    };
    KIT_CHECK(rows);
}

TEST(pattern, or_needs_one_alternative)
{
    static const char plain[] = "{'data':{'src':['cw'],'$or':[{'m':['cpu','io']},{'ns':['ec']}]}}";
    static const char inner[] =
        "{'data':{'s':[1],'$or':[{'m':[1]},{'t':[1],'n':[1],'$or':[{'i':[5]},{'j':[6]}]},{'z':[1]}]}}";
    static const char parallel[] =
        "{'$or':[{'type':['a']},{'data':{'x':[1]}}],'data':{'$or':[{'y':[1]},{'y':[2],'z':[3]}]}}";
    static const char elements[] = "{'data':{'$or':[{'l':{'x':[1],'y':[1]}},{'l':{'x':[2],'z':[2]}}]}}";
    static const struct kit_row rows[] = {
        DATA(plain, "{'src':'cw','m':'io'}", YES),
        DATA(plain, "{'src':'cw','ns':'ec'}", YES),
        DATA(plain, "{'src':'cw','ns':'e'}", NO),
        DATA(plain, "{'src':'xx','ns':'ec','m':'io'}", NO),
        DATA(inner, "{'s':1,'m':1}", YES),
        DATA(inner, "{'s':1,'t':1,'n':1,'j':6}", YES),
        DATA(inner, "{'s':1,'t':1,'n':1,'i':6}", NO),
        DATA(inner, "{'s':1,'t':1,'j':6}", NO),
        DATA(inner, "{'s':1,'z':1}", YES),
        DATA(inner, "{'z':1}", NO),
        {parallel, "{'y':1}", YES, "type=a", NULL},
        {parallel, "{'y':1}", NO, "type=b", NULL},
        {parallel, "{'y':1,'x':1}", YES, "type=b", NULL},
        {parallel, "{'y':2,'x':1}", NO, "type=b", NULL},
        {parallel, "{'y':2,'z':3}", YES, "type=a", NULL},
        DATA(elements, "{'l':[{'x':1,'z':2},{'x':2,'y':1}]}", NO),
        DATA(elements, "{'l':[{'x':1,'z':2},{'x':2,'z':2}]}", YES),
        DATA(elements, "{'l':{'x':[2,1],'y':1}}", YES),
        {"{'$or':[{'a':['1']}]}", "x", YES, "a=1", NULL},
        DATA("{'data':{'$or':[{'a':[{'exists':false}]},{'b':[1]}]}}", "{'a':1}", NO),
        DATA("{'data':{'$or':[{'a':[{'exists':false}]},{'b':[1]}]}}", "{}", YES),
        DATA("{'data':{'o':{'$or':[{'a':[{'exists':false}]},{'b':[1]}]}}}", "{}", YES),
    };
    KIT_CHECK(rows);
}

TEST(pattern, keys_and_headers_are_text)
{
    static const struct kit_row rows[] = {
        {"{'key':['order-7']}", NULL, YES, NULL, "order-7"},
        {"{'key':['order-7']}", NULL, NO, "key=order-7", "order-8"},
        {"{'key':['order-7']}", NULL, NO, "key=order-7", NULL},
        {"{'key':[{'exists':false}]}", NULL, YES, "key=1", NULL},
        {"{'key':[{'exists':false}]}", NULL, NO, NULL, ""},
        {"{'key':[{'prefix':'or'}]}", NULL, YES, NULL, "order"},
        {"{'key':[7]}", NULL, YES, NULL, "7.0"},
        {"{'ce_type':['OrderPaid']}", "not json", YES, "a=b;ce_type=OrderPaid", NULL},
        {"{'ce_type':['OrderPaid']}", NULL, NO, "a=b;ce_Type=OrderPaid", NULL},
        {"{'h':['2']}", NULL, YES, "h=1;h=2;h=3", NULL},
        {"{'h':[{'anything-but':'1'}]}", NULL, NO, "h=1;h=1", NULL},
        {"{'h':[{'anything-but':'1'}]}", NULL, YES, "h=1;h=2", NULL},
        {"{'h':[null]}", NULL, YES, "h", NULL},
        {"{'h':[null]}", NULL, NO, "h=", NULL},
        {"{'h':['']}", NULL, YES, "h=", NULL},
        {"{'h':[{'exists':true}]}", NULL, YES, "h", NULL},
        {"{'h':[{'exists':false}]}", NULL, YES, "g", NULL},
        {"{'h':[{'numeric':['>',3]}]}", NULL, YES, "h=10", NULL},
        {"{'h':[{'numeric':['>',3]}]}", NULL, NO, "h=2e0", NULL},
        {"{'h':[{'numeric':['>',3]}]}", NULL, NO, "h=10 ", NULL},
        {"{'h':[{'numeric':['>',3]}]}", NULL, NO, "h=010", NULL},
        {"{'h':[5]}", NULL, YES, "h=5.0", NULL},
        {"{'h':['5']}", NULL, NO, "h=5.0", NULL},
        {"{'h':[{'prefix':'a\\\\'}]}", NULL, YES, "h=a\\u0041", NULL},
        {"{'h':[{'equals-ignore-case':'a\\u0041'}]}", NULL, NO, "h=A\\u0041", NULL},
        {"{'h':[{'wildcard':'a*z'}]}", NULL, YES, "h=a\xff\xc3z", NULL},
        {"{'h':[{'wildcard':'a*z'}]}", NULL, NO, "h=a\xff\xc3", NULL},
        {"{'h':[{'equals-ignore-case':'a\xc3\xbf'}]}", NULL, NO, "h=a\xff", NULL},
        {"{'data':{'x':[1]},'h':['1']}", "{'x':1}", YES, "h=1;data=2", NULL},
    };
    KIT_CHECK(rows);
}
